"""The rooms half by the built-in homeserver: what one request costs, and which filters count."""

from collections.abc import AsyncIterator, Iterator

import pytest

from lamplighter.database.memory import open_memory
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import InvalidParam, NotFound
from lamplighter.homeserver.rooms_half import SqlRoomsHalf
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import Requester, RequestHead, RoomsAnswer, SyncRequest
from lamplighter.service.background import Background
from tests.contract.directories import Recorder, subject_in
from tests.contract.homeservers import content, taken
from tests.database.statements import traced_statements
from tests.service.counting import counted_tasks

ALICE = Requester(UserId("@alice:lamp.test"), DeviceId("PHONE"))


class Half(SqlRoomsHalf):
    """A rooms half whose directory has a listener."""

    def __init__(self, directory: SqlDirectory, background: Background) -> None:
        super().__init__(directory, background)
        self.recorder = Recorder()
        directory.listen(self.recorder)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """All SQL from the beginning of the test, until a test clears it."""
    with traced_statements() as statements:
        yield statements


@pytest.fixture
async def half(statements: list[str]) -> AsyncIterator[Half]:
    """The rooms half of a homeserver where alice is."""
    async with subject_in(open_memory(), "alice") as tested:
        yield Half(tested.directory, Background(tested.clock))


async def answered(half: Half, request: SyncRequest) -> RoomsAnswer:
    """Return what a request is answered."""
    found = await taken(half.begin(ALICE, request, RequestHead()), half.recorder)
    assert found is not None
    return found


async def room_with(half: Half, *bodies: str) -> RoomId:
    """Create a room in which alice has said so much."""
    room_id = await half.directory.create_room(ALICE.user_id, NewRoom("public_chat"))
    for body in bodies:
        await half.directory.send_event(ALICE, room_id, "m.room.message", {"body": body}, body)
    return room_id


def said(answer: RoomsAnswer | None, room_id: RoomId) -> list[str]:
    """Return which messages an answer tells."""
    events = content(answer)["rooms"]["join"][room_id]["timeline"]["events"]
    return [it["content"]["body"] for it in events if it["type"] == "m.room.message"]


async def test_a_quiet_request_costs_nothing(half: Half, statements: list[str]) -> None:
    """A request of a user without news starts no task and runs no statement, however often it
    looks.
    """
    since = (await answered(half, SyncRequest())).next_batch
    statements.clear()
    with counted_tasks() as tasks:
        pending = half.begin(ALICE, SyncRequest(since=since, filter="never read"), RequestHead())
        assert [pending.take() for _ in range(3)] == [None] * 3
        assert pending.quiet_token == since
    assert (statements, tasks) == ([], [])


async def test_what_need_not_be_said_is_read_once(half: Half, statements: list[str]) -> None:
    """News that the filter leaves out are read once; the token moves on past them."""
    since = (await answered(half, SyncRequest())).next_batch
    unwanted = '{"room":{"rooms":[]}}'
    await room_with(half, "hello")
    pending = half.begin(ALICE, SyncRequest(since=since, filter=unwanted), RequestHead())
    assert await taken(pending, half.recorder) is None
    moved_on = pending.quiet_token
    assert moved_on not in (None, since)
    statements.clear()
    assert await taken(pending, half.recorder) is None
    assert statements == []
    assert pending.quiet_token == moved_on


async def test_a_filter_by_its_id(half: Half, statements: list[str]) -> None:
    """An uploaded filter counts by its ID, and is read from the database once."""
    room_id = await room_with(half, "one", "two")
    definition = {"room": {"timeline": {"limit": 1}}}
    filter_id = await half.directory.save_filter(ALICE.user_id, definition)
    request = SyncRequest(filter=filter_id)
    assert await half.filter(ALICE, request, RequestHead(), filter_id) == definition
    reads = []
    for _ in range(2):
        statements.clear()
        assert said(await answered(half, request), room_id) == ["two"]
        reads.append(len([it for it in statements if "filters" in it]))
    assert reads == [1, 0]


async def test_a_filter_in_the_query(half: Half) -> None:
    """A filter as JSON counts; one with an ID that is none is refused before anything is asked."""
    room_id = await room_with(half, "one", "two")
    inline = '{"room":{"timeline":{"limit":1}}}'
    assert said(await answered(half, SyncRequest(filter=inline)), room_id) == ["two"]
    with pytest.raises(InvalidParam, match=r"^room\.rooms: "):
        half.begin(ALICE, SyncRequest(filter='{"room":{"rooms":["x"]}}'), RequestHead())


async def test_what_goes_wrong(half: Half) -> None:
    """`take` raises the error of a read, each time that it is called."""
    pending = half.begin(ALICE, SyncRequest(filter="never uploaded"), RequestHead())
    for _ in range(2):
        with pytest.raises(NotFound):
            await taken(pending, half.recorder)


async def test_a_request_that_is_over(half: Half, statements: list[str]) -> None:
    """A request that is cancelled before its read does not read."""
    await room_with(half, "hello")
    pending = half.begin(ALICE, SyncRequest(), RequestHead())
    statements.clear()
    assert pending.take() is None
    pending.cancel()
    await turns_until_idle()
    assert statements == []

"""News that were stored and not told: another node tells them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete, func, select

from lamplighter.clock import next_turn
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.tables import news
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import (
    ClusterRefused,
    ClusterUnavailable,
    UnknownToken,
    Untold,
    UserDeactivated,
)
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.values import NewRoom
from lamplighter.ports import MembershipChange, RequestHead, SyncRequest
from tests.contract.directories import ALICE, BOB, PHONE, SERVER, on_phone, refused, subject_in
from tests.contract.homeservers import taken
from tests.contract.nodes import NodesOfOne, nodes_on

NOW = FakeClock().now()


@pytest.fixture
def database() -> Database:
    """The database of both nodes."""
    return open_memory()


@pytest.fixture
def clock() -> FakeClock:
    """The clock of both nodes."""
    return FakeClock()


@pytest.fixture
async def cluster(database: Database, clock: FakeClock) -> AsyncIterator[NodesOfOne]:
    """Two nodes at which alice and bob live."""
    async with nodes_on([database, database], clock) as cluster:
        for name in ("alice", "bob"):
            await cluster.nodes[0].directory.register(name, None, device_id=PHONE)
        yield cluster


async def count_news(database: Database) -> int:
    """Return how many news are stored."""
    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(news))).scalar_one()


async def test_a_node_that_dies_before_it_tells(cluster: NodesOfOne) -> None:
    """What a node has stored and not told, another node tells when it finds it a second time."""
    dead, other = cluster.nodes
    dead.is_cut = dead.is_held = True
    with pytest.raises(Untold):
        await dead.directory.create_room(ALICE, NewRoom("public_chat"))
    await other.directory.tell_untold()
    assert other.recorder.memberships == []
    await other.directory.tell_untold()
    [room_id] = await other.directory.joined_rooms(ALICE)
    joined = [MembershipChange(room_id, ALICE, joined=True)]
    assert other.recorder.memberships == joined
    await other.directory.tell_untold()
    cluster.release()
    assert dead.recorder.memberships == other.recorder.memberships == joined


async def test_the_stream_is_lost(cluster: NodesOfOne) -> None:
    """A node that may have missed what the stream has lost hears all that is stored, once."""
    writer, other = cluster.nodes
    writer.is_cut = writer.is_held = True
    for name in ("one", "two"):
        with pytest.raises(Untold):
            await writer.directory.create_room(ALICE, NewRoom("public_chat", name=name))
    await other.homeserver.stream_lost()
    assert [it.user_id for it in other.recorder.memberships] == [ALICE, ALICE]
    for _ in range(3):
        await other.directory.tell_untold()
    cluster.release()
    await other.homeserver.stream_lost()
    assert [it.user_id for it in other.recorder.memberships] == [ALICE, ALICE]


async def test_what_is_kept(cluster: NodesOfOne) -> None:
    """Every node can read what was written lately, told or not, in its order."""
    writer, other = cluster.nodes
    await writer.directory.create_room(ALICE, NewRoom("public_chat"))
    writer.is_cut = True
    with pytest.raises(Untold):
        await writer.directory.create_room(BOB, NewRoom("public_chat"))
    kept = await other.homeserver.kept({})
    assert kept == await writer.homeserver.kept({})
    members = [other.homeserver.memberships_in(it) for it in kept]
    assert [it.user_id for changes in members for it in changes] == [ALICE, BOB]


async def test_the_stream_is_lost_and_the_news_are_gone(
    cluster: NodesOfOne, database: Database
) -> None:
    """A node that was away for so long that what it missed is stored no more has to start anew."""
    writer, other = cluster.nodes
    writer.is_cut = writer.is_held = True
    with pytest.raises(Untold):
        await writer.directory.create_room(ALICE, NewRoom("public_chat"))
    async with database.write() as connection:
        await connection.execute(delete(news))
    with pytest.raises(ClusterRefused) as raised:
        await other.homeserver.stream_lost()
    assert str(raised.value) == "this node has missed writes whose news are kept no more"


async def test_a_write_after_one_that_is_untold(cluster: NodesOfOne) -> None:
    """A write is not answered before what was written before it is heard; both come in order."""
    dead, other = cluster.nodes
    dead.is_cut = True
    with pytest.raises(Untold):
        await dead.directory.create_room(ALICE, NewRoom("public_chat"))
    [room_id] = await other.directory.joined_rooms(ALICE)
    joining = asyncio.ensure_future(other.directory.join(BOB, room_id))
    while not cluster.news.told:
        await next_turn()
    await other.directory.tell_untold()
    assert (joining.done(), other.recorder.memberships) == (False, [])
    await other.directory.tell_untold()
    await joining
    assert [it.user_id for it in other.recorder.memberships] == [ALICE, BOB]


async def test_a_node_that_is_open_looks_every_second(
    cluster: NodesOfOne, clock: FakeClock
) -> None:
    """Once its listeners are open, a node looks every second for what is untold."""
    dead, other = cluster.nodes
    other.homeserver.opened()
    dead.is_cut = True
    with pytest.raises(Untold):
        await dead.directory.create_room(ALICE, NewRoom("public_chat"))
    for seen in ([], [ALICE]):
        clock.advance(seconds=1)
        while other.background.is_busy:
            await next_turn()
        assert [it.user_id for it in other.recorder.memberships] == seen


async def test_untold_is_done_all_the_same(cluster: NodesOfOne, clock: FakeClock) -> None:
    """What was answered with an error can be repeated: it is done once. The repetition is answered
    when the first is heard.
    """
    node, other = cluster.nodes
    room_id = await node.directory.create_room(ALICE, NewRoom("public_chat"))
    node.is_cut = True
    with pytest.raises(Untold):
        await node.directory.join(BOB, room_id)
    said = on_phone(ALICE), room_id, "m.room.message", {"msgtype": "m.text", "body": "hello"}, ""
    with pytest.raises(Untold):
        await node.directory.send_event(*said)
    again = asyncio.ensure_future(node.directory.join(BOB, room_id))
    while not clock.next_timer():
        await next_turn()
    for _ in range(2):
        assert not again.done()
        await other.directory.tell_untold()
    await again
    await node.directory.send_event(*said)
    assert [it.user_id for it in other.recorder.memberships] == [ALICE, BOB]
    answer = await other.directory.sync_rooms(on_phone(BOB), None, RoomFilter(), full_state=False)
    assert bytes(answer.body).count(b'"hello"') == 1


async def test_an_account_that_is_closed_at_a_node_cut_off(cluster: NodesOfOne) -> None:
    """The account is closed, and the user leaves the rooms, though nobody is told at once."""
    node, other = cluster.nodes
    rooms = [await node.directory.create_room(ALICE, NewRoom("public_chat")) for _ in range(30)]
    node.is_cut = True
    with pytest.raises(Untold):
        await node.directory.deactivate(ALICE)
    await refused(UserDeactivated, other.directory.deactivate(ALICE))
    assert await other.directory.joined_rooms(ALICE) == []
    for _ in range(2):
        await other.directory.tell_untold()
    left = [it.room_id for it in node.recorder.memberships if not it.joined]
    assert left == rooms
    assert other.recorder.told[-4:-2] == [
        ("devices_gone", (ALICE, [PHONE])),
        ("user_deactivated", ALICE),
    ]


async def test_a_log_out_holds_on_every_node(cluster: NodesOfOne) -> None:
    """A node that has heard of a log-out on another one accepts the access token no more."""
    first, other = cluster.nodes
    login = await first.directory.log_in(ALICE, device_id=PHONE)
    await other.directory.authenticate(login.access_token)
    other.is_held = True
    await first.directory.log_out(on_phone(ALICE))
    assert other.directory.requester_in_use(login.access_token, NOW) == on_phone(ALICE)
    cluster.release()
    assert other.directory.requester_in_use(login.access_token, NOW) is None
    await refused(UnknownToken, other.directory.authenticate(login.access_token))


async def test_old_news_are_deleted(
    cluster: NodesOfOne, database: Database, clock: FakeClock
) -> None:
    """News are kept for ten minutes, and longer if a node that looks has not heard them."""
    node, other = cluster.nodes
    await node.directory.log_out(on_phone(ALICE))
    node.is_cut = node.is_held = True
    with pytest.raises(Untold):
        await node.directory.log_out(on_phone(BOB))
    clock.advance(minutes=9)
    await node.directory.tell_untold()
    assert await count_news(database) == 2
    clock.advance(minutes=2)
    await node.directory.tell_untold()
    assert await count_news(database) == 1
    for _ in range(2):
        await other.directory.tell_untold()
    clock.advance(minutes=1)
    await other.directory.tell_untold()
    assert await count_news(database) == 0


async def test_a_command_beside_nodes(
    cluster: NodesOfOne, database: Database, clock: FakeClock
) -> None:
    """Nodes hear of what a command has written that leaves them the news."""
    command = SqlDirectory(database, SERVER, clock)
    command.leave_news()
    await command.start()
    login = await cluster.nodes[0].directory.log_in(ALICE, device_id=PHONE)
    await cluster.nodes[1].directory.authenticate(login.access_token)
    await command.log_out_all(ALICE)
    for _ in range(2):
        await cluster.nodes[0].directory.tell_untold()
    assert cluster.nodes[1].directory.requester_in_use(login.access_token, NOW) is None
    assert cluster.nodes[1].recorder.told[-1] == ("devices_gone", (ALICE, [PHONE]))
    await cluster.nodes[1].directory.create_room(BOB, NewRoom("public_chat"))


async def test_a_single_node_stores_no_news() -> None:
    """A single node stores no news."""
    database = open_memory()
    async with subject_in(database, "alice") as tested:
        await tested.room(ALICE)
        await tested.directory.log_out(on_phone(ALICE))
        assert await count_news(database) == 0


async def test_a_token_of_a_time_that_was_undone(cluster: NodesOfOne) -> None:
    """A token ahead of the database, of a time that a backup has undone, is answered in full."""
    node, _ = cluster.nodes
    await node.directory.create_room(ALICE, NewRoom("public_chat"))
    everything = RoomFilter()
    first = await node.directory.sync_rooms(on_phone(ALICE), None, everything, full_state=False)
    mark, _, position = first.next_batch.partition("_")
    ahead = f"{mark}_{int(position) + 1}"
    assert not node.directory.rooms_are_quiet(ALICE, ahead)
    again = await node.directory.sync_rooms(on_phone(ALICE), ahead, everything, full_state=False)
    assert (again.next_batch, bytes(again.body)) == (first.next_batch, bytes(first.body))


async def test_a_node_that_looks_first(cluster: NodesOfOne) -> None:
    """A node that is behind accepts no token, and shows no quiet, against what was acknowledged."""
    node, behind = cluster.nodes
    login = await node.directory.log_in(ALICE, device_id=PHONE)
    await behind.directory.authenticate(login.access_token)
    room_id = await node.directory.create_room(BOB, NewRoom("public_chat"))
    first = await behind.directory.sync_rooms(on_phone(BOB), None, RoomFilter(), full_state=False)
    behind.is_held = behind.looks_first = True
    await node.directory.log_out(on_phone(ALICE))
    said = {"msgtype": "m.text", "body": "hello"}
    await node.directory.send_event(on_phone(BOB), room_id, "m.room.message", said, "")
    half, request = behind.homeserver.rooms_half, SyncRequest(since=first.next_batch)
    answer = await taken(half.begin(on_phone(BOB), request, RequestHead()), behind.recorder)
    assert answer is not None
    assert b"hello" in bytes(answer.body)
    await refused(UnknownToken, behind.directory.authenticate(login.access_token))


async def test_a_node_that_is_cut_off(cluster: NodesOfOne, database: Database) -> None:
    """A node that is cut off accepts no token, and writes nothing."""
    node, other = cluster.nodes
    login = await node.directory.log_in(ALICE, device_id=PHONE)
    node.looks_first = node.is_cut = True
    stored = await count_news(database)
    await refused(
        ClusterUnavailable,
        node.directory.authenticate(login.access_token),
        node.directory.create_room(ALICE, NewRoom("public_chat")),
    )
    assert await count_news(database) == stored
    assert await other.directory.joined_rooms(ALICE) == []


async def test_a_node_that_is_only_behind(cluster: NodesOfOne) -> None:
    """A node that is behind the stream tells one of the news that it misses, and not the others."""
    node, behind = cluster.nodes
    behind.is_held = True
    for _ in range(3):
        await node.directory.create_room(ALICE, NewRoom("public_chat"))
    await behind.directory.tell_untold()
    looking = asyncio.ensure_future(behind.directory.tell_untold())
    while len(cluster.news.told) < 4:
        await next_turn()
    cluster.release()
    await looking
    assert (len(cluster.news.told), len(behind.recorder.memberships)) == (4, 3)

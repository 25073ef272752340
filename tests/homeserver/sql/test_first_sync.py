"""First syncs from memory: the same as from the database, and one look at it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lamplighter.database.memory import open_memory
from lamplighter.database.sqlite import open_file
from lamplighter.errors import Forbidden
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.ids import UserId
from tests.contract.directories import ALICE, BOB, CHARLIE, Answer, Subject, subject_in
from tests.database.statements import counted_wakes, traced_statements
from tests.effort import EXAMPLES
from tests.homeserver.sql.stories import PEOPLE, step, steps


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """All SQL from the beginning of the test, until a test clears it."""
    with traced_statements() as statements:
        yield statements


@pytest.fixture
async def tested(statements: list[str], tmp_path: Path) -> AsyncIterator[Subject]:
    """A directory in a file, in which alice, bob and charlie live."""
    async with subject_in(open_file(tmp_path / "a.db"), "alice", "bob", "charlie") as tested:
        yield tested


async def in_full(tested: Subject, user_id: UserId, wanted: RoomFilter) -> Answer:
    """Return a first sync that asks for former rooms, which memory does not have, without them."""
    answer = await tested.sync(user_id, wanted=replace(wanted, include_leave=True))
    answer.rooms.pop("leave", None)
    return answer


#: Who looks then, and with which filter: how long timelines are, of which rooms, and whether the
#: client loads members lazily.
looks = st.tuples(
    st.sampled_from(PEOPLE),
    st.sampled_from([0, 1, 3, 10]),
    st.sampled_from([None, 0, 1]),
    st.booleans(),
)


async def play(story: list[tuple[Any, Any]]) -> None:
    """Go through a story, and compare after each of its steps."""
    async with subject_in(open_memory(), "alice", "bob", "charlie") as tested:
        rooms = [await tested.room(ALICE, BOB), await tested.room(BOB, ALICE, CHARLIE)]
        for number, ((kind, user_id, other, place), look) in enumerate(story):
            viewer, limit, left_out, lazily = look
            tested.clock.advance(milliseconds=7)
            with suppress(Forbidden):
                await step(tested, kind, user_id, other, rooms[place], number)
            unwanted = frozenset() if left_out is None else frozenset({rooms[left_out]})
            wanted = RoomFilter(
                timeline_limit=limit, not_rooms=unwanted, state={"lazy_load_members": lazily}
            )
            assert await tested.sync(viewer, wanted=wanted) == await in_full(tested, viewer, wanted)


@given(st.lists(st.tuples(steps, looks), min_size=10, max_size=40))
@settings(
    max_examples=max(1, EXAMPLES // 6),  # a story is long
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_memory_says_what_the_database_says(story: list[tuple[Any, Any]]) -> None:
    """After any story, a first sync from memory equals the one that is read from the database."""
    asyncio.run(play(story))


async def test_syncs_among_changes(tested: Subject) -> None:
    """While others write, a first sync and what follows on its token have each event once."""
    room_id = await tested.room(ALICE, *PEOPLE[1:])

    async def sync(user_id: UserId) -> Answer:
        return await tested.sync(user_id, wanted=RoomFilter(timeline_limit=100))

    said = [tested.say(ALICE, room_id, f"{number}") for number in range(20)]
    syncs = [sync(user_id) for user_id in PEOPLE * 7]
    mixed = [work for pair in zip(said, syncs, strict=False) for work in pair]
    answers = [it for it in await asyncio.gather(*mixed, syncs[-1]) if isinstance(it, Answer)]
    whole = (await sync(ALICE)).timeline(room_id)
    for answer in answers:
        later = await tested.sync(BOB, answer.next_batch, RoomFilter(timeline_limit=100))
        rest = later.timeline(room_id) if later.rooms else []
        assert answer.timeline(room_id) + rest == whole


async def test_one_look(
    tested: Subject, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first sync of somebody else in the same rooms takes one SQL statement and one trip to the
    database's thread, whatever there is in the rooms.
    """
    rooms = [await tested.room(ALICE, BOB) for _ in range(3)]
    await tested.directory.set_account_data(BOB, None, "m.direct", {"a": 1})
    await tested.sync(ALICE)
    statements.clear()
    with counted_wakes(monkeypatch) as wakes:
        answer = await tested.sync(BOB)
    assert sorted(answer.rooms["join"]) == sorted(rooms)
    assert answer.account_data["events"] == [{"type": "m.direct", "content": {"a": 1}}]
    assert [statement.split()[0] for statement in statements] == ["SELECT"]
    assert len(wakes) == 1


async def test_what_catching_up_takes(tested: Subject, statements: list[str]) -> None:
    """After a message, the next first sync reads what is new in that room, and nothing else."""
    rooms = [await tested.room(ALICE, BOB) for _ in range(3)]
    await tested.sync(ALICE)
    await tested.say(ALICE, rooms[1], "hello")
    statements.clear()
    assert (await tested.sync(BOB)).timeline(rooms[1])[-1] == "hello"
    assert [statement.split()[0] for statement in statements] == [
        "SELECT", "BEGIN", "SELECT", "SELECT", "ROLLBACK",
    ]  # fmt: skip

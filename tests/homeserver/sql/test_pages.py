"""Pages of rooms: those that were kept, and caught up, are as good as new."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from lamplighter.database.memory import open_memory
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.pages import RoomPage, RoomPages
from lamplighter.ids import RoomId
from tests.contract.directories import ALICE, BOB, Subject, subject_in

PLENTY = 10**6


@dataclass
class World:
    """A directory, its room, and a look at the room from beside."""

    tested: Subject
    ledger: Ledger
    room_id: RoomId

    async def page(self, pages: RoomPages, limit: int, last: int | None = None) -> RoomPage:
        """Return the room's page, by default as of now."""
        async with self.ledger.read() as connection:
            place = self.ledger.stream.position if last is None else last
            return await pages.read(connection, self.room_id, limit, place)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Alice's room, and bob who is in it."""
    database = open_memory()
    async with subject_in(database, "alice", "bob") as tested:
        world = World(tested, Ledger(database, tested.clock), await tested.room(ALICE, BOB))
        await world.ledger.start()
        yield world


async def go_on(world: World) -> int:
    """Let something of everything happen; return the place of the last event."""
    await world.tested.say(ALICE, world.room_id, "one")
    await world.tested.directory.set_state(ALICE, world.room_id, "m.room.topic", "", {"topic": "T"})
    await world.tested.directory.leave(BOB, world.room_id)
    await world.tested.say(ALICE, world.room_id, "two")
    await world.ledger.start()
    return world.ledger.stream.position


@pytest.mark.parametrize("limit", [0, 1, 3, 100])
@pytest.mark.parametrize("far_behind", [1, 4, 5, 100])
async def test_catching_up(world: World, limit: int, far_behind: int) -> None:
    """A page that was caught up, or was too far behind for that, is the one that is read anew."""
    pages = RoomPages(far_behind=far_behind)
    before = await world.page(pages, limit)
    last = await go_on(world)
    caught_up, anew = await world.page(pages, limit), await world.page(RoomPages(), limit)
    assert caught_up == anew != before
    assert list(caught_up.state) == list(anew.state)
    assert pages.at_hand(world.room_id, limit, last) is caught_up


async def test_pages_of_the_past(world: World) -> None:
    """A page ends where it was asked to, whatever has happened since; the newer one stays kept."""
    pages, place = RoomPages(), world.ledger.stream.position
    before = await world.page(pages, 5)
    last = await go_on(world)
    now = await world.page(pages, 5)
    past = await world.page(pages, 5, place)
    assert (past.state, past.timeline) == (before.state, before.timeline)
    assert pages.at_hand(world.room_id, 5, last) is now


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_catching_up_to_the_past(world: World, limit: int) -> None:
    """A page catches up as far as it was asked to, whatever has happened since."""
    pages = RoomPages()
    await world.page(pages, limit)
    last = await go_on(world)
    then = await world.page(RoomPages(), limit)
    await world.tested.say(ALICE, world.room_id, "three")
    assert await world.page(pages, limit, last) == then


async def test_at_hand(world: World) -> None:
    """At hand is the page of that length up to that event, and no other."""
    pages, last = RoomPages(), world.ledger.stream.position
    page = await world.page(pages, 5)
    assert pages.at_hand(world.room_id, 5, last) is page
    assert pages.at_hand(world.room_id, 6, last) is None
    assert pages.at_hand(world.room_id, 5, last - 1) is None
    assert pages.at_hand(world.room_id, 5, last + 1) is None


async def test_no_more_than_there_is_room_for(world: World) -> None:
    """A page that weighs more than may be kept is read, and not kept."""
    last = world.ledger.stream.position
    page = await world.page(RoomPages(), 5)
    assert page.weight > sum(len(event.head) for event in (*page.state.values(), *page.timeline))
    for most, is_kept in ((page.weight, True), (page.weight - 1, False)):
        pages = RoomPages(most_kept=most)
        await world.page(pages, 5)
        assert (pages.at_hand(world.room_id, 5, last) is not None) is is_kept

"""Who is in which room is stored in the background."""

import asyncio
from collections.abc import Sequence

import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.positions import at_time
from lamplighter.database.engine import Database
from lamplighter.database.known_members import KnownMembers
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.homeserver.upstream.members_saving import KEPT, MembersSaving
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import MembershipChange
from lamplighter.service.background import Background
from tests.database.trouble import allow_writing, forbid_writing

LOBBY = RoomId("!lobby:demo")
PEOPLE = [UserId(f"@{number:04}:demo") for number in range(2_500)]
NOW = Timestamp(1_000)


def joins(people: Sequence[UserId]) -> list[MembershipChange]:
    """Return that people join the room."""
    return [MembershipChange(LOBBY, it, joined=True) for it in people]


def leaves(people: Sequence[UserId]) -> list[MembershipChange]:
    """Return that people leave the room."""
    return [MembershipChange(LOBBY, it, joined=False) for it in people]


@pytest.fixture
def background(clock: FakeClock) -> Background:
    """Where the work goes on."""
    return Background(clock)


@pytest.fixture
def saving(database: Database, clock: FakeClock, background: Background) -> MembersSaving:
    """What stores members in that database."""
    return MembersSaving(KnownMembers(database, KEPT), clock, background)


async def until(database: Database, begun: int) -> None:
    """Return once that many writes have begun, and all of them have ended."""
    while database.begun < begun or database.under_way:
        await asyncio.to_thread(lambda: None)
        await turns_until_idle()


async def test_many_in_one_commit(database: Database, saving: MembersSaving) -> None:
    """A large room takes a few commits, of a thousand memberships each; the newest is stored."""
    before = database.begun
    saving.note(joins(PEOPLE), NOW)
    await until(database, before + 1)
    saving.note(leaves(PEOPLE[1:]), NOW)
    await until(database, before + 4)
    assert [it.user_id for it in await saving.load()] == PEOPLE[:1]


async def test_a_disk_that_is_full(
    database: Database, saving: MembersSaving, clock: FakeClock
) -> None:
    """What could not be stored is stored later."""
    await forbid_writing(database)
    before = database.begun
    saving.note(joins(PEOPLE[:2]), NOW)
    await until(database, before + 1)
    saving.note(leaves(PEOPLE[:1]), NOW)
    async with database.read() as connection:
        await connection.exec_driver_sql("PRAGMA query_only = OFF")
    assert list(await saving.load()) == []
    before = database.begun
    clock.advance(seconds=30)
    await until(database, before + 1)
    assert [it.user_id for it in await saving.load()] == PEOPLE[1:2]


async def test_what_was_told_goes_along(database: Database, saving: MembersSaving) -> None:
    """How nodes were told is there as soon as the first of the memberships, and once the database
    can be written again.
    """
    await forbid_writing(database)
    before = database.begun
    saving.told(StreamPosition(7), b"all leave")
    saving.note(leaves(PEOPLE), NOW)
    await until(database, before + 1)
    saving.told(StreamPosition(8), b"one joins")
    saving.note(joins(PEOPLE[:1]), NOW)
    await allow_writing(database)
    assert await saving.told_lately() == {}
    await saving.stop()
    assert await saving.told_lately() == {7: b"all leave", 8: b"one joins"}
    assert [it.user_id for it in await saving.load()] == PEOPLE[:1]


async def test_the_database_is_away_for_long(database: Database, saving: MembersSaving) -> None:
    """What was told is forgotten after ten minutes, stored or not; who is joined is not."""
    await forbid_writing(database)
    before = database.begun
    for number, minutes in enumerate((0, 5, 11)):
        saving.told(at_time(Timestamp(minutes * 60_000)), b"%d" % minutes)
        saving.note(joins(PEOPLE[number : number + 1]), NOW)
    await until(database, before + 1)
    await allow_writing(database)
    await saving.stop()
    assert list((await saving.told_lately()).values()) == [b"5", b"11"]
    assert [it.user_id for it in await saving.load()] == PEOPLE[:3]


async def test_the_rest_is_stored_at_the_stop(
    database: Database, saving: MembersSaving, background: Background
) -> None:
    """What the background has not stored is stored at the stop."""
    saving.note(joins(PEOPLE), NOW)
    background.stop()
    await saving.stop()
    assert len(await saving.load()) == len(PEOPLE)


async def test_a_stop_with_a_full_disk(
    database: Database, saving: MembersSaving, background: Background
) -> None:
    """A stop does not wait for a disk that takes nothing."""
    await forbid_writing(database)
    saving.note(joins(PEOPLE), NOW)
    background.stop()
    await saving.stop()
    assert list(await saving.load()) == []

"""Known members in a SQL database."""

import pytest

from lamplighter.clock import Timestamp
from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.known_members import KnownMembers
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import JoinedMember
from tests.database.trouble import forbid_writing

ALICE, BOB = UserId("@alice:demo"), UserId("@bob:demo")
LOBBY, SIDE = RoomId("!lobby:demo"), RoomId("!side:demo")


async def test_what_is_saved_is_loaded(database: Database) -> None:
    """The newest state of each membership is there after a restart, the oldest first."""
    members = KnownMembers(database, 100)
    assert await members.load() == []
    await members.save({(LOBBY, ALICE): Timestamp(3), (SIDE, ALICE): Timestamp(2)}, {})
    await members.save({(LOBBY, BOB): Timestamp(1), (LOBBY, ALICE): Timestamp(4)}, {})
    await members.save({(SIDE, ALICE): None, (SIDE, BOB): None}, {})
    assert await KnownMembers(database, 100).load() == [
        JoinedMember(LOBBY, BOB, Timestamp(1)),
        JoinedMember(LOBBY, ALICE, Timestamp(4)),
    ]


def told(*positions: int) -> dict[StreamPosition, bytes]:
    """Return what was told at these positions."""
    return {StreamPosition(it): b"%d" % it for it in positions}


async def test_what_was_told(database: Database) -> None:
    """What was told is kept with its position, in order, for as long before the newest as is said.

    What is told already stays as it was: a node may not know whether its commit has succeeded.
    """
    members = KnownMembers(database, 100)
    assert await members.told_lately() == {}
    await members.save({(LOBBY, ALICE): Timestamp(3)}, told(30, 20))
    await members.save({(LOBBY, ALICE): None}, told(110) | {StreamPosition(20): b"again"})
    assert list((await members.told_lately()).items()) == list(told(20, 30, 110).items())
    await members.save({}, told(125))
    assert await members.told_lately() == told(30, 110, 125)


async def test_what_is_old_is_deleted_in_parts(database: Database) -> None:
    """With each commit at most a hundred rows are deleted that nobody reads any more."""
    members = KnownMembers(database, 1_000)
    await members.save({}, told(*range(1, 251)))
    for position, left in ((2_000, 151), (2_001, 52), (2_002, 3)):
        await members.save({}, told(position))
        assert await database.fetch(Statement("SELECT count(*) FROM findings")) == [(left,)]
    assert await members.told_lately() == told(2_000, 2_001, 2_002)


async def test_a_disk_that_is_full(file_database: Database) -> None:
    """`save` raises `StorageUnavailable` if it cannot write."""
    await forbid_writing(file_database)
    with pytest.raises(StorageUnavailable):
        await KnownMembers(file_database, 100).save({(LOBBY, ALICE): Timestamp(1)}, {})

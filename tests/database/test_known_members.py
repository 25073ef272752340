"""Known members in a SQL database."""

import pytest

from lamplighter.clock import Timestamp
from lamplighter.database.engine import Database
from lamplighter.database.known_members import KnownMembers
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember
from tests.database.trouble import forbid_writing

ALICE, BOB = UserId("@alice:demo"), UserId("@bob:demo")
LOBBY, SIDE = RoomId("!lobby:demo"), RoomId("!side:demo")


async def test_what_is_saved_is_loaded(database: Database) -> None:
    """The newest state of each membership is there after a restart, the oldest first."""
    members = KnownMembers(database)
    assert await members.load() == []
    await members.save({(LOBBY, ALICE): Timestamp(3), (SIDE, ALICE): Timestamp(2)})
    await members.save({(LOBBY, BOB): Timestamp(1), (LOBBY, ALICE): Timestamp(4)})
    await members.save({(SIDE, ALICE): None, (SIDE, BOB): None})
    assert await KnownMembers(database).load() == [
        JoinedMember(LOBBY, BOB, Timestamp(1)),
        JoinedMember(LOBBY, ALICE, Timestamp(4)),
    ]


async def test_a_disk_that_is_full(file_database: Database) -> None:
    """`save` raises `StorageUnavailable` if it cannot write."""
    await forbid_writing(file_database)
    with pytest.raises(StorageUnavailable):
        await KnownMembers(file_database).save({(LOBBY, ALICE): Timestamp(1)})

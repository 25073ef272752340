"""The directory across restarts and on a full disk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from lamplighter.database.engine import Database
from lamplighter.database.sqlite import open_file
from lamplighter.database.tables import memberships, rooms
from lamplighter.errors import Forbidden, StorageUnavailable
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester, RoomsAnswer
from tests.contract.directories import Recorder, subject_in
from tests.database.trouble import fill_disk, free_disk

ALICE = UserId("@alice:lamp.test")
BOB = UserId("@bob:lamp.test")
PHONE = Requester(ALICE, DeviceId("PHONE"))


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[tuple[SqlDirectory, Database]]:
    """Run a directory on a database file."""
    database = open_file(path)
    async with subject_in(database) as tested:
        yield tested.directory, database


async def sync(directory: SqlDirectory, since: str | None = None) -> RoomsAnswer:
    """Sync Alice's phone."""
    return await directory.sync_rooms(PHONE, since, RoomFilter(), full_state=False)


async def test_a_restart(tmp_path: Path) -> None:
    """AccessTokens, passwords, rooms and sync tokens are as good after a restart as before it."""
    path = tmp_path / "directory.db"
    async with running(path) as (directory, _):
        login = await directory.register("alice", "secret", device_id=DeviceId("PHONE"))
        room_id = await directory.create_room(ALICE, NewRoom("public_chat"))
        since = (await sync(directory)).next_batch
        missed = await directory.send_event(PHONE, room_id, "m.room.message", {}, "1")
    async with running(path) as (directory, _):
        assert await directory.authenticate(login.access_token) == PHONE
        await directory.check_password(ALICE, "secret")
        assert await directory.joined_rooms(ALICE) == [room_id]
        again = await directory.send_event(PHONE, room_id, "m.room.message", {}, "1")
        assert again == missed
        answer = await sync(directory, since)
        timeline = msgspec.json.decode(bytes(answer.body))["rooms"]["join"][room_id]["timeline"]
        assert [event["event_id"] for event in timeline["events"]] == [missed]
        assert (await sync(directory, answer.next_batch)).body == b"{}"


async def test_positions_are_not_given_out_twice(tmp_path: Path) -> None:
    """The stream gives each position out once, even if its entry has been deleted."""
    path = tmp_path / "directory.db"
    async with running(path) as (directory, _):
        await directory.register("alice", None, device_id=DeviceId("PHONE"))
        bob = (await directory.register("bob", None)).user_id
        await directory.set_account_data(bob, None, "a", {})
        since = (await sync(directory)).next_batch
        await directory.deactivate(bob)
    async with running(path) as (directory, _):
        await directory.set_account_data(ALICE, None, "a", {})
        assert b'"account_data"' in bytes((await sync(directory, since)).body)


async def test_tokens_of_another_database(tmp_path: Path) -> None:
    """A token of a database that was replaced is answered in full."""
    async with running(tmp_path / "one.db") as (directory, _):
        await directory.register("alice", None)
        foreign = (await sync(directory)).next_batch
    async with running(tmp_path / "two.db") as (directory, _):
        await directory.register("alice", None)
        room_id = await directory.create_room(ALICE, NewRoom("public_chat"))
        answer = await sync(directory, foreign)
        assert list(msgspec.json.decode(bytes(answer.body))["rooms"]["join"]) == [room_id]


async def test_a_full_disk(tmp_path: Path) -> None:
    """On a full disk nothing is written in part or told, and everything can still be read."""
    async with running(tmp_path / "directory.db") as (directory, database):
        login = await directory.register("alice", None, device_id=DeviceId("PHONE"))
        room_id = await directory.create_room(ALICE, NewRoom("public_chat"))
        before = await sync(directory)
        state = list(await directory.state(ALICE, room_id))
        recorder = Recorder()
        directory.listen(recorder)
        await fill_disk(database)
        with pytest.raises(StorageUnavailable, match="The disk is full"):
            await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "x" * 30_000})
        assert recorder == Recorder()
        assert await directory.authenticate(login.access_token) == PHONE
        assert list(await directory.state(ALICE, room_id)) == state
        assert await sync(directory) == before
        await free_disk(database)
        await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "x" * 30_000})
        assert recorder.news == [{ALICE}]


async def test_too_many_rooms(tmp_path: Path) -> None:
    """Nobody is in more than 2000 rooms; who leaves one may join another."""
    async with running(tmp_path / "directory.db") as (directory, database):
        for name in ("alice", "bob"):
            await directory.register(name, None)
        other = await directory.create_room(BOB, NewRoom("public_chat"))
        first = await directory.create_room(ALICE, NewRoom("public_chat"))
        async with database.write() as connection:
            ids = [f"!{number}:lamp.test" for number in range(1999)]
            room = {"last_position": 0}
            await connection.execute(insert(rooms), [{"room_id": it, **room} for it in ids])
            stay = {"user_id": ALICE, "membership": "join", "since_position": 0, "since_ts": 0}
            await connection.execute(insert(memberships), [{"room_id": it, **stay} for it in ids])
        with pytest.raises(Forbidden, match="is in 2000 rooms already"):
            await directory.join(ALICE, other)
        with pytest.raises(Forbidden, match="is in 2000 rooms already"):
            await directory.create_room(ALICE, NewRoom("public_chat"))
        await directory.leave(ALICE, first)
        await directory.join(ALICE, other)

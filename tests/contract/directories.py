"""A directory to test, with short ways to say what happens in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import pytest

from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, RoomId, ServerName, UserId
from lamplighter.ports import Json, MembershipChange, Requester

SERVER: Final = ServerName("lamp.test")
ALICE: Final = UserId("@alice:lamp.test")
BOB: Final = UserId("@bob:lamp.test")
CHARLIE: Final = UserId("@charlie:lamp.test")

PHONE: Final = DeviceId("PHONE")


@dataclass
class Recorder:
    """A `DirectoryListener` that writes down what it is told."""

    memberships: list[MembershipChange] = field(default_factory=list)
    told: list[tuple[str, object]] = field(default_factory=list)
    news: list[set[UserId]] = field(default_factory=list)
    #: Set by each news of rooms.
    woken: asyncio.Event = field(default_factory=asyncio.Event, compare=False)

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        self.memberships += changes
        self.told.append(("memberships_changed", len(changes)))

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        self.told.append(("devices_gone", (user_id, sorted(device_ids))))

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        self.told.append(("tokens_revoked", (user_id, sorted(device_ids))))

    def user_deactivated(self, user_id: UserId) -> None:
        self.told.append(("user_deactivated", user_id))

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        self.news.append(set(user_ids))
        self.woken.set()

    def forget(self) -> None:
        """Start a new page."""
        self.memberships.clear()
        self.told.clear()
        self.news.clear()


def on_phone(user_id: UserId) -> Requester:
    """Return the user as they come from their phone."""
    return Requester(user_id, PHONE)


@dataclass
class Subject:
    """A directory under test."""

    directory: SqlDirectory
    clock: FakeClock
    recorder: Recorder
    database: Database

    async def users(self, *names: str) -> list[UserId]:
        """Register users, each with a phone."""
        return [
            (await self.directory.register(name, None, device_id=PHONE)).user_id for name in names
        ]

    async def room(self, creator: UserId, *others: UserId, preset: str = "public_chat") -> RoomId:
        """Create a room, and let others join it, who are invited if they must be."""
        room_id = await self.directory.create_room(creator, NewRoom(preset=preset))
        for other in others:
            if preset != "public_chat":
                await self.directory.invite(creator, room_id, other)
            await self.directory.join(other, room_id)
        return room_id

    async def say(self, user_id: UserId, room_id: RoomId, body: str, txn_id: str = "") -> str:
        """Send a text message from the user's phone."""
        content = {"msgtype": "m.text", "body": body}
        return await self.directory.send_event(
            on_phone(user_id), room_id, "m.room.message", content, txn_id or body
        )

    async def sync(
        self,
        user_id: UserId,
        since: str | None = None,
        wanted: RoomFilter | None = None,
        *,
        full_state: bool = False,
    ) -> "Answer":
        """Sync the user's phone."""
        answer = await self.directory.sync_rooms(
            on_phone(user_id), since, wanted or RoomFilter(), full_state=full_state
        )
        content = msgspec.json.decode(bytes(answer.body))
        return Answer(answer.next_batch, content.get("rooms", {}), content.get("account_data", {}))


@asynccontextmanager
async def subject_in(
    database: Database, *names: str, clock: FakeClock | None = None
) -> AsyncIterator[Subject]:
    """Give a directory in *database* with these users; the database is closed at the end."""
    await migrate(database)
    tested = await subject_beside(database, clock or FakeClock())
    await tested.users(*names)
    yield tested
    await database.close()


async def subject_beside(database: Database, clock: FakeClock) -> Subject:
    """Start a directory in *database*, which another one may use as well."""
    directory = SqlDirectory(database, SERVER, clock)
    await directory.start()
    await directory.members()
    tested = Subject(directory, clock, Recorder(), database)
    directory.listen(tested.recorder)
    return tested


async def refused(error: type[Exception], *attempts: Awaitable[object]) -> None:
    """Check that each attempt fails with *error*."""
    for attempt in attempts:
        with pytest.raises(error):
            await attempt


@dataclass
class Answer:
    """The rooms half of a `/sync`, decoded."""

    next_batch: str
    rooms: dict[str, dict[str, Any]]
    account_data: Json

    def timeline(self, room_id: RoomId, section: str = "join") -> list[str]:
        """Return what happened in the room, each event in a word or two."""
        return [in_words(e) for e in self.rooms[section][room_id]["timeline"]["events"]]

    def state(self, room_id: RoomId, section: str = "join") -> list[str]:
        """Return the room's state, each event in a word or two, sorted."""
        return sorted(in_words(e) for e in self.rooms[section][room_id]["state"]["events"])


def in_words(event: Json) -> str:
    """Return an event as a test wants to read it."""
    content = event["content"]
    if event["type"] == "m.room.member":
        return f"{event['state_key'].split(':')[0]} {content['membership']}"
    kind = event["type"].removeprefix("m.room.")
    return content["body"] if kind == "message" else str(kind)

"""Homeservers to test, with one way for all of them to say what happens there."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import msgspec

from lamplighter.app.homeserver import Homeserver
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import PendingRooms, Requester, RequestHead, RoomsAnswer, SyncRequest
from tests.contract.directories import PHONE, Recorder
from tests.contract.fake_homeserver import FakeHomeserver

__all__ = ["AnyHomeserver", "BuiltIn", "Fake", "content", "taken"]


@dataclass
class AnyHomeserver(ABC):
    """A homeserver, a listener that writes down what it is told, and what may happen."""

    homeserver: Homeserver
    recorder: Recorder

    @abstractmethod
    async def log_in(self, name: str, device_id: DeviceId = PHONE) -> tuple[Requester, str]:
        """Log a user in, who is created if need be; return them, and their access token."""

    @abstractmethod
    async def log_out(self, requester: Requester) -> None:
        """Let a device log out."""

    @abstractmethod
    async def room(self, name: str | None, first: UserId, *others: UserId) -> RoomId:
        """Create a room to which they are joined, one after the other."""

    @abstractmethod
    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        """Let a user leave a room."""

    @abstractmethod
    async def say(self, requester: Requester, room_id: RoomId, body: str) -> None:
        """Let a message be sent."""

    async def answer(self, requester: Requester, request: SyncRequest) -> RoomsAnswer | None:
        """Return what a request is answered once nothing goes on any more."""
        pending = self.homeserver.rooms_half.begin(requester, request, RequestHead())
        try:
            return await taken(pending, self.recorder)
        finally:
            pending.cancel()


@dataclass
class BuiltIn(AnyHomeserver):
    """The built-in homeserver."""

    directory: SqlDirectory

    async def log_in(self, name: str, device_id: DeviceId = PHONE) -> tuple[Requester, str]:
        user_id = UserId(f"@{name}:lamp.test")
        if await self.directory.account(user_id) is None:
            login = await self.directory.register(name, None, device_id=device_id)
        else:
            login = await self.directory.log_in(user_id, device_id=device_id)
        return Requester(user_id, device_id), login.access_token

    async def log_out(self, requester: Requester) -> None:
        await self.directory.log_out(requester)

    async def room(self, name: str | None, first: UserId, *others: UserId) -> RoomId:
        room_id = await self.directory.create_room(first, NewRoom("public_chat", name=name))
        for other in others:
            await self.directory.join(other, room_id)
        return room_id

    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        await self.directory.leave(user_id, room_id)

    async def say(self, requester: Requester, room_id: RoomId, body: str) -> None:
        sent = {"msgtype": "m.text", "body": body}
        await self.directory.send_event(requester, room_id, "m.room.message", sent, body)


@dataclass
class Fake(AnyHomeserver):
    """The homeserver of the tests."""

    fake: FakeHomeserver

    async def log_in(self, name: str, device_id: DeviceId = PHONE) -> tuple[Requester, str]:
        user_id = UserId(f"@{name}:lamp.test")
        return Requester(user_id, device_id), self.fake.log_in(user_id, device_id)

    async def log_out(self, requester: Requester) -> None:
        self.fake.log_out(requester)

    async def room(self, name: str | None, first: UserId, *others: UserId) -> RoomId:
        room_id = RoomId(f"!{name}:lamp.test")
        for user_id in (first, *others):
            self.fake.join(user_id, room_id, name)
        return room_id

    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        self.fake.leave(user_id, room_id)

    async def say(self, _requester: Requester, room_id: RoomId, body: str) -> None:
        self.fake.say(room_id, body)


async def taken(pending: PendingRooms, recorder: Recorder) -> RoomsAnswer | None:
    """Return what there is to take once the homeserver has answered, or waits."""
    while True:
        recorder.woken.clear()
        found = pending.take()
        if found is not None or pending.quiet_token is not None:
            await turns_until_idle()
            return pending.take()
        await recorder.woken.wait()


def content(answer: RoomsAnswer | None) -> dict[str, Any]:
    """Return what an answer says; nothing if there is none."""
    found: dict[str, Any] = {} if answer is None else msgspec.json.decode(bytes(answer.body))
    return found

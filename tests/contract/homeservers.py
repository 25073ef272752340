"""Homeservers to test, with one way for all of them to say what happens there."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from lamplighter.app.homeserver import Homeserver
from lamplighter.config import parse_config_text
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.upstream.homeserver import UpstreamHomeserver
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import PendingRooms, Requester, RequestHead, RoomsAnswer, SyncRequest
from lamplighter.service.background import Background
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.contract.directories import PHONE, SERVER, Recorder
from tests.contract.fake_homeserver import FakeHomeserver
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver

__all__ = ["AnyHomeserver", "Behind", "BuiltIn", "Fake", "content", "taken"]


@dataclass
class AnyHomeserver(ABC):
    """A homeserver, a listener that writes down what it is told, and what may happen."""

    homeserver: Homeserver
    recorder: Recorder
    #: Whether it tells that a token has ended because its device has logged in anew.
    tells_new_tokens: ClassVar[bool] = True

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

    def head(self, _requester: Requester) -> RequestHead:
        """Return what a client sends with each request."""
        return RequestHead()

    def begin(self, requester: Requester, request: SyncRequest) -> PendingRooms:
        """Begin the rooms half of a request."""
        return self.homeserver.rooms_half.begin(requester, request, self.head(requester))

    async def answer(self, requester: Requester, request: SyncRequest) -> RoomsAnswer | None:
        """Return what a request is answered once nothing goes on any more."""
        pending = self.begin(requester, request)
        try:
            return await taken(pending, self.recorder)
        finally:
            pending.cancel()


@dataclass
class BuiltIn(AnyHomeserver):
    """The built-in homeserver: what happens there goes in turn through each of its nodes."""

    directories: Sequence[SqlDirectory]

    def __post_init__(self) -> None:
        self._turns = cycle(self.directories)

    async def log_in(self, name: str, device_id: DeviceId = PHONE) -> tuple[Requester, str]:
        user_id = UserId(f"@{name}:lamp.test")
        if await next(self._turns).account(user_id) is None:
            login = await next(self._turns).register(name, None, device_id=device_id)
        else:
            login = await next(self._turns).log_in(user_id, device_id=device_id)
        return Requester(user_id, device_id), login.access_token

    async def log_out(self, requester: Requester) -> None:
        await next(self._turns).log_out(requester)

    async def room(self, name: str | None, first: UserId, *others: UserId) -> RoomId:
        room_id = await next(self._turns).create_room(first, NewRoom("public_chat", name=name))
        for other in others:
            await next(self._turns).join(other, room_id)
        return room_id

    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        await next(self._turns).leave(user_id, room_id)

    async def say(self, requester: Requester, room_id: RoomId, body: str) -> None:
        sent = {"msgtype": "m.text", "body": body}
        await next(self._turns).send_event(requester, room_id, "m.room.message", sent, body)


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


@dataclass
class Behind(AnyHomeserver):
    """Another homeserver, behind this server."""

    homeserver: UpstreamHomeserver
    small: SmallHomeserver
    #: What passes through, as clients send it.
    front: HttpClient
    database: Database
    background: Background
    tells_new_tokens = False

    @classmethod
    async def begin_in(cls, folder: Path, recorder: Recorder) -> "Behind":
        """Return one whose registration is in *folder*."""
        clock = FakeClock()
        small = SmallHomeserver(clock, SERVER)
        (folder / "registration.yaml").write_text(
            f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}"
        )
        text = (
            f"server_name: {SERVER}\n"
            "homeserver: {url: 'http://127.0.0.1:8018', registration: registration.yaml}\n"
        )
        config = parse_config_text(text, folder / "x.yaml")
        assert config.homeserver is not None
        pipe = Pipe(HttpServer(small, clock, MATRIX))
        database = open_memory()
        await migrate(database)
        background = Background(clock)
        homeserver = UpstreamHomeserver(
            config, config.homeserver, clock, database, background, pipe
        )
        await homeserver.start()
        homeserver.listen(recorder)
        assert homeserver.everything_else is not None
        front = HttpServer(homeserver.everything_else, clock, MATRIX)
        client = HttpClient(front.connect, settle=turns_until_idle)
        return cls(homeserver, recorder, small, client, database, background)

    async def stop(self) -> None:
        """Close everything."""
        self.background.stop()
        await self.homeserver.stop()
        await self.database.close()

    async def log_in(self, name: str, device_id: DeviceId = PHONE) -> tuple[Requester, str]:
        requester = Requester(UserId(f"@{name}:{SERVER}"), device_id)
        for token in self._tokens_of(requester):
            self.small.log_out(token)
        token = self.small.log_in(name, device_id, f"token-{name}-{len(self.small.asked)}")
        await self.homeserver.identity.authenticate(token)
        return requester, token

    async def log_out(self, requester: Requester) -> None:
        await self._pass(requester, "/logout")

    async def room(self, name: str | None, first: UserId, *others: UserId) -> RoomId:
        room_id = RoomId(f"!{name or ''}:{SERVER}")
        for user_id in (first, *others):
            self.small.join(user_id, room_id)
            await self.homeserver.membership.transaction([(room_id, user_id)])
            await turns_until_idle()
        return room_id

    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        await self._pass(Requester(user_id, PHONE), f"/rooms/{room_id}/leave")

    async def say(self, _requester: Requester, room_id: RoomId, body: str) -> None:
        self.small.say(room_id, body)

    def head(self, requester: Requester) -> RequestHead:
        [token] = self._tokens_of(requester)
        return RequestHead([(b"authorization", f"Bearer {token}".encode())])

    async def _pass(self, requester: Requester, path: str) -> None:
        [token] = self._tokens_of(requester)
        target = f"/_matrix/client/v3{path}"
        answer = await self.front.request("POST", target, json={}, token=token)
        assert answer.status == 200

    def _tokens_of(self, requester: Requester) -> list[str]:
        return [
            token
            for token, it in self.small.devices.items()
            if (it.user_id, it.device_id) == (requester.user_id, requester.device_id)
        ]


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

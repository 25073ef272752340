"""The people of a test, each with a client: `bob.goes_online("brb")`."""

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec

from lamplighter.devtools.client import Client, ClientPoll, SyncQuery
from lamplighter.devtools.http import Response
from lamplighter.devtools.server import InMemoryServer
from lamplighter.devtools.testing.sees_result import (
    SeesResult,
    Wanted,
    result_of,
    result_without_reasons,
)
from lamplighter.ids import UserId, localpart_of
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence

__all__ = ["Person", "RemotePerson", "Room", "Somebody", "Stage"]

T = TypeVar("T")

#: The longest time-out that the server grants.
_POLL_MS: Final = 600_000


class Stage(Protocol):
    """The server and its clients: when a method returns, all its effects have reached everybody."""

    @property
    def server(self) -> InMemoryServer:
        """The server."""

    def play(self, work: Awaitable[T]) -> T:
        """Do *work*, and let every client receive the news."""

    def at_once(self, work: Awaitable[T]) -> T:
        """Return what *work* returns; raise `TimeoutError` if *work* waits for the time."""


class Room:
    """A room, and who is in it."""

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id

    def __repr__(self) -> str:
        return f"room {self.room_id}"


class Somebody:
    """The common part of people of this server and of others."""

    def __init__(self, stage: Stage, user_id: UserId) -> None:
        self._stage = stage
        self.user_id = user_id

    def __repr__(self) -> str:
        own = self.user_id.endswith(f":{self._stage.server.server_name}")
        return localpart_of(self.user_id) if own else self.user_id

    def goes_online(self, status_msg: str | None = None) -> None:
        """Connect, and be online, with this status message or none."""
        self._is(Presence.ONLINE, status_msg)

    def becomes_unavailable(self, status_msg: str | None = None) -> None:
        """Connect, and be unavailable, with this status message or none."""
        self._is(Presence.UNAVAILABLE, status_msg)

    def goes_offline(self, status_msg: str | None = None) -> None:
        """Be offline at once, and disconnect."""
        self._is(Presence.OFFLINE, status_msg)

    def sees(
        self, other: "Somebody", presence: str | None = None, status_msg: str | None = None
    ) -> SeesResult:
        """Tell whether they see the other person as *presence*; None: as anything but offline.

        With a *status_msg*, that message must be shown, too. The result is true or false, and its
        `repr` explains it.
        """
        if not isinstance(other, Somebody):
            raise TypeError(f"give a person, such as presence_server.user makes, not {other!r}")
        shown = self._shown(other)
        server = self._stage.server
        wanted = Wanted(presence, status_msg)
        modules = bool(server.lamplighter.modules.loaded)
        seen = server.lamplighter.core.reader.seen(self.user_id, other.user_id)
        try:
            allowed = self._stage.at_once(seen)
        except TimeoutError:
            return result_without_reasons(repr(self), repr(other), wanted, shown)
        return result_of(repr(self), repr(other), wanted, shown, allowed, modules=modules)

    def reads(self, other: "Somebody") -> str | None:
        """Return the other person's status message as shown to them; None without one."""
        message: str | None = (self._shown(other) or {}).get("status_msg")
        return message

    def _shown(self, other: "Somebody") -> Mapping[str, Any] | None:
        """Return what their client shows of the other; None for nothing."""
        raise NotImplementedError

    def _is(self, presence: Presence, status_msg: str | None) -> None:
        """Take on this presence."""
        raise NotImplementedError


class Person(Somebody):
    """A user of the server with one client.

    The client is connected from `goes_online` on, and receives all news. For a person who is not
    connected, `sees` tells what a sync would show.
    """

    def __init__(self, stage: Stage, client: Client) -> None:
        super().__init__(stage, client.user_id)
        #: For everything that this class has no method for; its own methods are async.
        self.client = client
        self._poll: ClientPoll | None = None
        #: The query of each poll of this connection.
        self._polling: SyncQuery = {}

    def loses_connection(self) -> None:
        """Disconnect without saying so; the server notices after half a minute."""
        self._stage.play(self._disconnects())

    def types_in(self, room: Room) -> None:
        """Type something: an activity."""
        self._stage.play(self.client.types(room.room_id))

    def shares_room_with(self, *others: "Person") -> Room:
        """Return a new room of this person and the *others*."""
        clients = [other.client for other in others]
        return Room(self._stage.play(self._stage.server.room(self.client, *clients)))

    def joins(self, room: Room) -> None:
        """Join the room."""
        self._stage.play(self.client.join(room.room_id))

    def leaves(self, room: Room) -> None:
        """Leave the room."""
        self._stage.play(self.client.leave(room.room_id))

    def requests(self, method: str, path: str, json: object = None) -> Response:
        """Send a request with their access token, with *json* as its body; return the response.

        A test can thus use what a module serves with `register_web_resource`.
        """
        http, token = self._stage.server.http, self.client.access_token
        body = b"" if json is None else msgspec.json.encode(json)
        return self._stage.play(http.request(method, path, body=body, token=token))

    def starts_afresh(self) -> None:
        """Forget everything that was shown, and sync for the first time, as a new client does."""
        self._stage.play(self._starts_afresh())

    async def catch_up(self) -> bool:
        """Receive news, if connected; return whether there was any."""
        if self._poll is None or not self._poll.answered:
            return False
        await self._poll.answer()
        await self._polls()
        return True

    def _shown(self, other: Somebody) -> Mapping[str, Any] | None:
        if self._poll is None:
            # `offline` leaves one's own presence as it is.
            self._stage.play(self.client.sync(set_presence="offline"))
        return self.client.beliefs.get(other.user_id)

    def _is(self, presence: Presence, status_msg: str | None) -> None:
        self._stage.play(self._takes_on(presence, status_msg))

    async def _takes_on(self, presence: Presence, status_msg: str | None) -> None:
        if presence == Presence.OFFLINE:
            await self._disconnects()
        await self.client.set_status(presence, status_msg)
        if self._poll is None and presence != Presence.OFFLINE:
            # A poll without set_presence says online, which would undo the status.
            self._polling = {} if presence == Presence.ONLINE else {"set_presence": presence}
            await self._polls()

    async def _polls(self) -> None:
        self._poll = await self.client.polls(timeout=_POLL_MS, **self._polling)

    async def _disconnects(self) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            await poll.go_away()

    async def _starts_afresh(self) -> None:
        was_connected = self._poll is not None
        await self._disconnects()
        await self.client.first_sync(set_presence="offline")
        if was_connected:
            await self._polls()


class RemotePerson(Somebody):
    """A user of another server, whose presence that server sends."""

    def _shown(self, other: Somebody) -> Mapping[str, Any] | None:
        """Return what their server gets of the other person."""
        seen = self._stage.play(
            self._stage.server.lamplighter.core.reader.seen(self.user_id, other.user_id)
        )
        if seen is None:
            return None
        state, _ = seen
        return {"presence": state.state, "status_msg": state.status_msg}

    def _is(self, presence: Presence, status_msg: str | None) -> None:
        active = presence is Presence.ONLINE
        update = RemoteUpdate(self.user_id, presence, status_msg, currently_active=active)

        async def tell() -> None:
            self._stage.server.lamplighter.core.federated.remote_updates([update])

        self._stage.play(tell())

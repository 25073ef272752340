"""A homeserver in memory that is not the built-in one: it answers like one at another address.

Its rooms half is a request under way: the first `take` sends it, and the answer comes in a later
turn of the event loop. What it answers beside rooms is whatever a test has put into `beside`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.delivery.tokens import Tokens
from lamplighter.errors import NotFound, UnknownToken
from lamplighter.ids import DeviceId, RoomAlias, RoomId, StreamEpoch, StreamPosition, UserId
from lamplighter.ports import (
    NO_HEAD,
    Account,
    DeviceRecord,
    DirectoryListener,
    JoinedMember,
    Json,
    MembershipChange,
    Profile,
    Requester,
    RequestHead,
    RoomsAnswer,
    SyncRequest,
    WayToNodes,
)
from lamplighter.web.admin.operations import Operation
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.routes import Route

__all__ = ["FakeHomeserver", "FakePending"]


@dataclass
class _Room:
    name: str | None
    members: dict[UserId, Timestamp] = field(default_factory=dict)
    #: What happened, by its place in the stream.
    events: dict[int, Json] = field(default_factory=dict)


class FakeHomeserver:
    """A `Homeserver`, and what tests let happen at it."""

    def __init__(self) -> None:
        #: Every `/sync` that was asked for, as it was sent.
        self.asked: list[tuple[Requester, SyncRequest, RequestHead]] = []
        #: What each user's next answer holds beside rooms.
        self.beside: dict[UserId, Json] = {}
        self.filters: dict[tuple[UserId, str], Json] = {}
        #: The requests that wait for something to happen.
        self.waiting: list[FakePending] = []
        self.writes_refused = False
        self._tokens: dict[str, Requester] = {}
        self._known: set[str] = set()
        self._rooms: dict[RoomId, _Room] = {}
        self._data: dict[tuple[UserId, RoomId | None, str], Json] = {}
        self._listeners: list[DirectoryListener] = []
        self._position = 0
        self._changed: dict[UserId, int] = {}
        self.identity = self.membership = self.rooms_half = self.lookups = self
        self.everything_else = None
        self.problem: str | None = None

    # --- what happens ---------------------------------------------------------------------

    def log_in(self, user_id: UserId, device_id: DeviceId) -> str:
        """Give a device an access token; the one that it had ends."""
        requester = Requester(user_id, device_id)
        old = [token for token, it in self._tokens.items() if it == requester]
        for token in old:
            self._end(token)
        token = f"token{len(self._tokens)}{len(self._known)}-{user_id}"
        self._tokens[token] = requester
        for listener in self._listeners if old else ():
            listener.tokens_revoked(user_id, [device_id])
        return token

    def log_out(self, requester: Requester) -> None:
        """End the device and its token."""
        for token in [token for token, it in self._tokens.items() if it == requester]:
            self._end(token)
        for listener in self._listeners:
            listener.devices_gone(requester.user_id, [requester.device_id])

    def join(self, user_id: UserId, room_id: RoomId, name: str | None = None) -> None:
        """Let a user be joined; the first one gives the room its name."""
        room = self._rooms.setdefault(room_id, _Room(name))
        room.members[user_id] = Timestamp(self._position)
        self._happens(room, {"type": "m.room.member", "state_key": user_id})
        self._membership_changed(room_id, user_id, joined=True)

    def leave(self, user_id: UserId, room_id: RoomId) -> None:
        """Let a user be joined no more."""
        room = self._rooms[room_id]
        self._happens(room, {"type": "m.room.member", "state_key": user_id})
        del room.members[user_id]
        self._membership_changed(room_id, user_id, joined=False)

    def say(self, room_id: RoomId, body: str) -> None:
        """Let a message come into a room."""
        event = {"type": "m.room.message", "content": {"body": body}}
        self._happens(self._rooms[room_id], event)

    # --- Homeserver -----------------------------------------------------------------------

    async def start(self) -> None:
        """Nothing has to be got ready."""

    def opened(self) -> None:
        """Nobody has to be told."""

    def listen(self, listener: DirectoryListener) -> None:
        self._listeners.append(listener)

    def join_cluster(self, way: WayToNodes) -> None:
        """Nobody else uses it."""

    def told_before(self, told: Mapping[StreamPosition, bytes]) -> None:
        """No node tells any."""

    async def kept(self, told: Mapping[StreamPosition, bytes]) -> Sequence[bytes]:
        return ()

    async def stream_lost(self) -> Sequence[bytes]:
        raise NotImplementedError

    def memberships_in(self, news: bytes) -> Sequence[MembershipChange]:
        raise NotImplementedError

    def heard(self, position: StreamPosition, news: bytes) -> None:
        """No node tells any."""

    def tokens(self, epoch: StreamEpoch, node: str) -> Tokens:
        return Tokens(epoch, node)

    def routes(self, _parts: ClientParts) -> Sequence[Route]:
        return ()

    def operations(self) -> list[Operation]:
        return []

    def refuse_writes(self) -> None:
        self.writes_refused = True

    async def stop(self) -> None:
        """Nothing was opened."""

    # --- Identity -------------------------------------------------------------------------

    async def authenticate(
        self, access_token: str, query: str = "", _head: RequestHead = NO_HEAD, /
    ) -> Requester:
        await asyncio.to_thread(lambda: None)  # another machine is asked
        if access_token not in self._tokens:
            raise UnknownToken("Unknown access token")
        self._known.add(access_token)
        return self._tokens[access_token]

    def requester_in_use(
        self, access_token: str, _now: Timestamp, _query: str = "", /
    ) -> Requester | None:
        return self._tokens[access_token] if access_token in self._known else None

    def is_guest(self, user_id: UserId, /) -> bool:
        return user_id.startswith("@guest")

    # --- Membership -----------------------------------------------------------------------

    async def members(self) -> Sequence[JoinedMember]:
        joined = [
            JoinedMember(room_id, user_id, since)
            for room_id, room in self._rooms.items()
            for user_id, since in room.members.items()
        ]
        return sorted(joined, key=lambda it: it.since)

    async def joined_rooms(self, user_id: UserId) -> Sequence[RoomId]:
        return [room_id for room_id, room in self._rooms.items() if user_id in room.members]

    async def room_name(self, room_id: RoomId) -> str | None:
        return self._rooms[room_id].name if room_id in self._rooms else None

    # --- RoomsHalf ------------------------------------------------------------------------

    def begin(
        self, requester: Requester, request: SyncRequest, head: RequestHead, /
    ) -> "FakePending":
        return FakePending(self, requester, request, head)

    async def filter(
        self, requester: Requester, request: SyncRequest, head: RequestHead, filter_id: str, /
    ) -> Json:
        try:
            return self.filters[requester.user_id, filter_id]
        except KeyError:
            raise NotFound("There is no such filter") from None

    def answer(self, user_id: UserId, since: str | None) -> RoomsAnswer | None:
        """Return what has happened since, all there is without a token; None if nothing has."""
        after = -1 if since is None else int(since.removeprefix("fake"))
        if since is not None and after >= self._changed.get(user_id, 0):
            return None
        joined: dict[str, Any] = {}
        for room_id, room in self._rooms.items():
            events = [event for position, event in room.events.items() if position > after]
            if user_id in room.members and events:
                joined[room_id] = {"timeline": {"events": events}}
        content = {"rooms": {"join": joined}} if joined else {}
        body = msgspec.json.encode(content | self.beside.pop(user_id, {}))
        return RoomsAnswer(f"fake{self._position}", body)

    def wake(self, user_id: UserId) -> None:
        """Let the user's polls look."""
        for listener in self._listeners:
            listener.rooms_news([user_id])

    # --- Lookups --------------------------------------------------------------------------

    async def account(self, user_id: UserId) -> Account | None:
        return next((it for it in await self.accounts(None, 1_000) if it.user_id == user_id), None)

    async def accounts(
        self, after: UserId | None, limit: int, containing: str = ""
    ) -> Sequence[Account]:
        users = sorted({it.user_id for it in self._tokens.values()})
        found = [it for it in users if it > (after or "") and containing in it][:limit]
        return [Account(it, Timestamp(0), is_admin=False, is_deactivated=False) for it in found]

    async def devices(self, user_id: UserId) -> Sequence[DeviceRecord]:
        mine = [it.device_id for it in self._tokens.values() if it.user_id == user_id]
        return [DeviceRecord(it, None, None) for it in mine]

    async def profile(self, user_id: UserId) -> Profile:
        if await self.account(user_id) is None:
            raise NotFound("There is no such user")
        return Profile(None, None)

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        return self._data.get((user_id, room_id, data_type))

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        self._data[user_id, room_id, data_type] = content

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        raise NotFound("There are no aliases here")

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        return []

    # --------------------------------------------------------------------------------------

    def _end(self, token: str) -> None:
        del self._tokens[token]
        self._known.discard(token)

    def _happens(self, room: _Room, event: Json) -> None:
        self._position += 1
        room.events[self._position] = event
        for user_id in room.members:
            self._changed[user_id] = self._position
        for pending in [it for it in self.waiting if it.requester.user_id in room.members]:
            pending.hear()

    def _membership_changed(self, room_id: RoomId, user_id: UserId, *, joined: bool) -> None:
        for listener in self._listeners:
            listener.memberships_changed([MembershipChange(room_id, user_id, joined)])


class FakePending:
    """A request under way to this homeserver."""

    def __init__(
        self,
        homeserver: FakeHomeserver,
        requester: Requester,
        request: SyncRequest,
        head: RequestHead,
    ) -> None:
        self._homeserver = homeserver
        self.requester = requester
        self._since = None if request.full_state else request.since
        self._answer: RoomsAnswer | None = None
        self._asked = requester, request, head

    @property
    def quiet_token(self) -> str | None:
        return self._since

    def take(self) -> RoomsAnswer | None:
        if self._answer is None and self not in self._homeserver.waiting:
            self._homeserver.asked.append(self._asked)
            self._homeserver.waiting.append(self)
            asyncio.get_running_loop().call_soon(self.hear)
        return self._answer

    def hear(self) -> None:
        """Learn that there may be an answer now."""
        if self in self._homeserver.waiting:
            self._answer = self._homeserver.answer(self.requester.user_id, self._since)
            if self._answer is not None:
                self._homeserver.waiting.remove(self)
                self._homeserver.wake(self.requester.user_id)

    def cancel(self) -> None:
        if self in self._homeserver.waiting:
            self._homeserver.waiting.remove(self)

"""Every Protocol that the rest asks of the outside world, on one page.

Adapters are plain classes that take plain arguments; `app/` alone chooses among them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId, RoomAlias, RoomId, ServerName, StreamPosition, UserId
from lamplighter.pieces import Pieces
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.state import UserPresenceState

__all__ = [
    "Account",
    "BackoffState",
    "BackoffStore",
    "DeviceRecord",
    "DirectoryListener",
    "Headers",
    "Identity",
    "JoinedMember",
    "Json",
    "Lookups",
    "Membership",
    "MembershipChange",
    "Outgoing",
    "PendingRooms",
    "PresenceStore",
    "Profile",
    "Requester",
    "RoomsAnswer",
    "RoomsHalf",
    "SavedPresence",
    "SyncRequest",
]

#: The headers of a request, their names in lower case.
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
#: A JSON object whose meaning is not ours to know: event content, account data, a filter.
Json = dict[str, Any]


class Requester(msgspec.Struct, frozen=True, gc=False):
    """Who sends a request, by the access token. A Struct, because it is the key of hot tables."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class Account:
    """What is kept of an account, apart from its password."""

    user_id: UserId
    created_ts: Timestamp
    is_admin: bool
    is_deactivated: bool


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device as its user sees it in the list of devices."""

    device_id: DeviceId
    display_name: str | None
    last_seen_ts: Timestamp | None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user shows to others; None is not set."""

    displayname: str | None
    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class JoinedMember:
    """One membership `join` that stands, and since when."""

    room_id: RoomId
    user_id: UserId
    since: Timestamp


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """A user has begun to be joined to a room, or has stopped."""

    room_id: RoomId
    user_id: UserId
    joined: bool


class DirectoryListener(Protocol):
    """Whom the directory tells of what happens in it, after it is stored."""

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        """Users have joined or stopped being joined; profile changes are not told."""

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Devices have logged out or were deleted."""

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Devices that go on existing have new access tokens; the old ones are worth nothing."""

    def user_deactivated(self, user_id: UserId) -> None:
        """The account is gone: its devices were told before, the rooms it leaves come after."""

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        """The rooms half of these users' next `/sync` has something to say."""


class Identity(Protocol):
    """Who sends a request.

    A request is identified by its access token, and by its query as it was sent: an application
    service names there the user whom it acts for.
    """

    async def authenticate(self, access_token: str, query: str = "", /) -> Requester:
        """Return who sends the request; raise `UnknownToken`."""

    def requester_in_use(self, access_token: str, query: str = "", /) -> Requester | None:
        """Return who sends the request if that is known without asking anybody: one look-up."""


class Membership(Protocol):
    """Who is joined to which room. What changes is told to the `DirectoryListener`."""

    async def members(self) -> Sequence[JoinedMember]:
        """Return every membership `join` that stands, the oldest first: once, at start-up."""

    async def joined_rooms(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the rooms to which the user is joined."""

    async def room_name(self, room_id: RoomId) -> str | None:
        """Return what people call the room: its name, else its alias, else None."""


class SyncRequest(msgspec.Struct, frozen=True):
    """A `/sync` as the rooms half of its answer is asked for."""

    #: The query as the client sent it, percent-encoded.
    query: str = ""
    #: The rooms part of the since token; None for a first sync, or where the token has none.
    since: str | None = None
    timeout: timedelta = timedelta(0)
    #: What the query names as filter: the ID of an uploaded one, or JSON.
    filter: str | None = None
    full_state: bool = False


class RoomsAnswer(msgspec.Struct, frozen=True):
    """The rooms half of an answer to `/sync`."""

    #: The rooms part of the token to go on from.
    next_batch: str
    #: A JSON object without `next_batch` and `presence`, and without white space at its ends. What
    #: comes in pieces has at least one member.
    body: bytes | Pieces = b"{}"


class PendingRooms(Protocol):
    """The rooms half of one `/sync` under way, from `RoomsHalf.begin` until `cancel`.

    Example: a client polls with a token. The first `take` finds nothing, and `quiet_token` is the
    client's own token: an answer with presence alone may go out with it. A message comes in. The
    next `take` begins to read it and returns None, and `quiet_token` is None: an answer that went
    out now would miss the message. Once it is read, the poll is woken, and `take` returns it.
    """

    @property
    def quiet_token(self) -> str | None:
        """The token of an answer without rooms, as of the last `take`.

        None while no answer may go out before `take` has returned one.
        """

    def take(self) -> RoomsAnswer | None:
        """Return an answer that is worth sending, if there is one now.

        Nothing is asked or read before the first call. Raises what went wrong.
        """

    def cancel(self) -> None:
        """Learn that the poll is over, with this half or without it."""


class RoomsHalf(Protocol):
    """The part of a `/sync` that is not presence.

    When a pending half has something new to `take`, the directory's listener is told
    (`DirectoryListener.rooms_news`): it wakes the user's polls.
    """

    def begin(
        self, requester: Requester, request: SyncRequest, headers: Headers, /
    ) -> PendingRooms:
        """Return the rooms half of a request; raise `BadJson` or `InvalidParam` for its filter."""

    async def filter(
        self, requester: Requester, request: SyncRequest, headers: Headers, filter_id: str, /
    ) -> Json:
        """Return the requester's uploaded filter; raise `NotFound`."""


class Lookups(Identity, Protocol):
    """What modules, operators and other servers ask of a homeserver beside presence.

    Raises `StorageUnavailable` where the homeserver cannot answer.
    """

    async def account(self, user_id: UserId) -> Account | None:
        """Return what is kept of the account, or None if there never was one."""

    async def accounts(
        self, after: UserId | None, limit: int, containing: str = ""
    ) -> Sequence[Account]:
        """Return accounts by user ID, closed ones too, with *containing* in localpart or name."""

    async def devices(self, user_id: UserId) -> Sequence[DeviceRecord]:
        """Return the user's devices."""

    async def profile(self, user_id: UserId) -> Profile:
        """Return the user's profile; raise `NotFound` for users that do not exist."""

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        """Return the user's data of this type, global or of a room; None if there is none."""

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        """Keep the user's data of this type."""

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        """Return the room that an alias names; raise `NotFound`."""

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        """Return state events by (type, state key), any state key where that is None; no checks."""


@dataclass(frozen=True, slots=True)
class SavedPresence:
    """A user's presence as it is kept: without devices, with its place in the stream."""

    user: TrackedUser
    position: StreamPosition


class PresenceStore(Protocol):
    """Presence across restarts."""

    async def load(self) -> Sequence[SavedPresence]:
        """Return what was saved."""

    def save(self, states: Sequence[SavedPresence]) -> "asyncio.Future[None]":
        """Return what is done once *states* would survive the process's death.

        It fails with `StorageUnavailable` where they would not. Many callers at once share one
        commit. What could not be written is not lost: it goes with the next call, even one without
        states, unless something newer of the same user does. So a call without states is also how
        to find out that the disk works again.
        """

    def forget(self, user_id: UserId) -> None:
        """Let nothing be stored of the user from the next commit on, unless it is saved later."""

    async def settle(self) -> None:
        """Return once every `save` so far is done, or has failed."""


class Outgoing(Protocol):
    """The way to other servers."""

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        """Let the server know *states* of our users soon, newest per user; never waits."""

    def take_back(self) -> AbstractSet[UserId]:
        """Forget everything that is not on its way yet; return the users it was about."""


@dataclass(frozen=True, slots=True)
class BackoffState:
    """What is kept of a server that does not answer."""

    #: How often in a row it failed.
    failures: int
    retry_at: Timestamp


class BackoffStore(Protocol):
    """Which servers are left alone, across restarts."""

    async def load(self) -> Mapping[ServerName, BackoffState]:
        """Return what was saved."""

    async def save(self, server_name: ServerName, state: BackoffState | None) -> None:
        """Keep how long a server is left alone; None forgets it. Raises `StorageUnavailable`."""

"""Every Protocol that the rest asks of the outside world, on one page.

Adapters are plain classes that take plain arguments; `app/` alone chooses among them.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId, RoomAlias, RoomId, ServerName, StreamPosition, UserId
from lamplighter.pieces import Pieces
from lamplighter.presence.changes import Change
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.state import UserPresenceState

__all__ = [
    "Account",
    "Accounts",
    "BackoffState",
    "BackoffStore",
    "Bus",
    "DeviceRecord",
    "Directory",
    "DirectoryListener",
    "JoinedMember",
    "Json",
    "Login",
    "Membership",
    "MembershipChange",
    "NewRoom",
    "Outgoing",
    "PresenceStore",
    "Profile",
    "Requester",
    "RoomFilter",
    "Rooms",
    "RoomsSync",
    "SavedPresence",
]

#: A JSON object whose meaning is not ours to know: event content, account data, a filter.
Json = dict[str, Any]


class Membership(StrEnum):
    """How a user stands to a room."""

    JOIN = "join"
    INVITE = "invite"
    LEAVE = "leave"
    BAN = "ban"


class Requester(msgspec.Struct, frozen=True, gc=False):
    """Who sends a request, by the access token. A Struct, because it is the key of hot tables."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class Login:
    """A device that has just logged in, with the one copy of its access token."""

    user_id: UserId
    device_id: DeviceId
    access_token: str


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
class NewRoom:
    """What `POST /createRoom` asks for, checked."""

    preset: str
    visibility: str = "private"
    name: str | None = None
    topic: str | None = None
    alias: RoomAlias | None = None
    invite: Sequence[UserId] = ()
    #: Each with `type`, `state_key` and `content`.
    initial_state: Sequence[Json] = ()
    creation_content: Json = field(default_factory=dict)
    power_level_content_override: Json = field(default_factory=dict)
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class RoomFilter:
    """The parts of a client's filter that concern rooms and account data.

    None as a list of rooms or types admits all of them.
    """

    timeline_limit: int = 10
    rooms: frozenset[str] | None = None
    not_rooms: frozenset[str] = frozenset()
    include_leave: bool = False
    timeline: Json = field(default_factory=dict)
    state: Json = field(default_factory=dict)
    account_data: Json = field(default_factory=dict)
    room_account_data: Json = field(default_factory=dict)
    ephemeral: Json = field(default_factory=dict)


class RoomsSync(msgspec.Struct, frozen=True):
    """The rooms half of a `/sync`: what stands beside `presence` in the response.

    `rooms` and `account_data` are encoded JSON objects, or None where there is nothing to say.
    """

    next_batch: str
    rooms: msgspec.Raw | Pieces | None = None
    account_data: msgspec.Raw | None = None


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


class Accounts(Protocol):
    """Accounts, devices and access tokens, profiles, account data, filters.

    Raises what `errors.py` names: `NotFound` for what is not there, `StorageUnavailable` where
    a write cannot be kept. A method that returns has stored what it was told to.
    """

    async def authenticate(self, access_token: str) -> Requester:
        """Return whose token it is; raise `UnknownToken`. One dict look-up for a token in use."""

    def requester_in_use(self, access_token: str) -> Requester | None:
        """Return whose token it is if that is known without looking it up."""

    async def register(
        self,
        localpart: str | None,
        password: str | None,
        *,
        device_id: DeviceId | None = None,
        device_name: str | None = None,
        is_admin: bool = False,
    ) -> Login:
        """Create an account and log its first device in; raise `UserInUse`, `InvalidUsername`.

        Without a localpart one is chosen; without a password nobody can log in by password.
        """

    async def check_available(self, localpart: str) -> None:
        """Raise `UserInUse` or `InvalidUsername` if nobody could register as *localpart*."""

    async def check_password(self, user_id: UserId, password: str) -> None:
        """Raise `Forbidden` unless it is the password of an active user, whatever else is so."""

    async def log_in(
        self, user_id: UserId, *, device_id: DeviceId | None = None, device_name: str | None = None
    ) -> Login:
        """Give a device a new access token, which replaces the one it had."""

    async def log_out(self, requester: Requester) -> None:
        """Revoke the requester's token and delete the device."""

    async def log_out_all(self, user_id: UserId) -> None:
        """Revoke all tokens and delete all devices of the user."""

    async def deactivate(self, user_id: UserId) -> None:
        """Close the account: no token, password, profile or membership stays."""

    async def account(self, user_id: UserId) -> Account | None:
        """Return what is kept of the account, or None if there never was one."""

    async def accounts(
        self, after: UserId | None, limit: int, containing: str = ""
    ) -> Sequence[Account]:
        """Return accounts by user ID, closed ones too, with *containing* in localpart or name."""

    async def devices(self, user_id: UserId) -> Sequence[DeviceRecord]:
        """Return the user's devices."""

    async def device(self, user_id: UserId, device_id: DeviceId) -> DeviceRecord:
        """Return one device; raise `NotFound`."""

    async def rename_device(
        self, user_id: UserId, device_id: DeviceId, display_name: str | None
    ) -> None:
        """Give the device another name; raise `NotFound`."""

    async def delete_devices(self, user_id: UserId, device_ids: Collection[DeviceId]) -> None:
        """Delete the devices and revoke their tokens; harmless for those that are not there."""

    async def profile(self, user_id: UserId) -> Profile:
        """Return the user's profile; raise `NotFound` for users that do not exist."""

    async def set_displayname(self, user_id: UserId, displayname: str | None) -> None:
        """Change the display name, in the user's rooms too."""

    async def set_avatar_url(self, user_id: UserId, avatar_url: str | None) -> None:
        """Change the avatar, in the user's rooms too."""

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        """Return the user's data of this type, global or of a room; None if there is none."""

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        """Keep the user's data of this type."""

    async def save_filter(self, user_id: UserId, definition: Json) -> str:
        """Keep a filter; return its ID: the same for the same filter, and never for another."""

    async def filter(self, user_id: UserId, filter_id: str) -> Json:
        """Return a filter; raise `NotFound`."""


class Rooms(Protocol):
    """Rooms, their state and timelines. All methods check what the acting user may do.

    They raise `Forbidden` and `NotFound` (a room one is not in is not found to exist: `Forbidden`).
    """

    async def create_room(self, creator: UserId, room: NewRoom) -> RoomId:
        """Create a room with the creator in it; raise `RoomInUse` for a taken alias."""

    async def join(self, user_id: UserId, room_id: RoomId) -> None:
        """Join a public room, or one the user is invited to; harmless when already in."""

    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        """Leave the room, or reject its invite."""

    async def invite(self, user_id: UserId, room_id: RoomId, target: UserId) -> None:
        """Invite *target*; it becomes no member by that."""

    async def kick(
        self, user_id: UserId, room_id: RoomId, target: UserId, reason: str | None
    ) -> None:
        """Make *target* leave, or take its invite back."""

    async def ban(
        self, user_id: UserId, room_id: RoomId, target: UserId, reason: str | None
    ) -> None:
        """Make *target* leave, and keep it out."""

    async def unban(self, user_id: UserId, room_id: RoomId, target: UserId) -> None:
        """Lift a ban."""

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        """Return the room an alias names; raise `NotFound`."""

    async def set_alias(self, user_id: UserId, alias: RoomAlias, room_id: RoomId) -> None:
        """Name a room; raise `RoomInUse`."""

    async def delete_alias(self, user_id: UserId, alias: RoomAlias) -> None:
        """Take a name back; only who gave it may, and who may change the room's state."""

    async def joined_rooms(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the rooms the user is joined to."""

    async def send_event(
        self, requester: Requester, room_id: RoomId, event_type: str, content: Json, txn_id: str
    ) -> str:
        """Append a message event; return its ID. The same transaction of a device sends once."""

    async def set_state(
        self, user_id: UserId, room_id: RoomId, event_type: str, state_key: str, content: Json
    ) -> str:
        """Set a piece of room state; return the event's ID."""

    async def state_event(
        self, user_id: UserId, room_id: RoomId, event_type: str, state_key: str
    ) -> Json:
        """Return one whole state event, as a member or former member may see it."""

    async def state(self, user_id: UserId, room_id: RoomId) -> Sequence[Json]:
        """Return all state events."""

    async def joined_members(self, user_id: UserId, room_id: RoomId) -> Mapping[UserId, Profile]:
        """Return who is joined, with their profiles."""

    async def room_initial_sync(self, user_id: UserId, room_id: RoomId, limit: int) -> Json:
        """Return the room as `GET /rooms/{roomId}/initialSync` has it, but for presence."""

    async def sync_rooms(
        self, requester: Requester, since: str | None, filter: RoomFilter, *, full_state: bool
    ) -> RoomsSync:
        """Return what has happened in the requester's rooms since the rooms part of a token.

        A part that is None, foreign or garbage is answered in full.
        """

    def rooms_are_quiet(self, user_id: UserId, since: str | None) -> bool:
        """Tell whether nothing has happened in the user's rooms since; True is certain.

        Then the rooms part of the token stays as it is. It takes no look at the database.
        """

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        """Return state events by (type, state key), any state key where that is None; no checks."""


class Directory(Accounts, Rooms, Protocol):
    """Who people are and which rooms they share."""

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* of everything that happens from now on."""

    async def members(self) -> Sequence[JoinedMember]:
        """Return every standing `join`, the oldest first: once, at start-up."""


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


class Bus(Protocol):
    """The stream of presence changes."""

    def append(self, changes: Sequence[Change]) -> StreamPosition:
        """Return the place of a batch of changes: larger than every place before it."""

    @property
    def position(self) -> StreamPosition:
        """The place of the last batch."""

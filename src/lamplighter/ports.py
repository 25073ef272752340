"""The ports: what presence asks of the world around it, on one page.

Presence asks three things of a homeserver: who sends a request (`Identity`), who is joined to
which room (`Membership`), and the part of a `/sync` that is not presence (`RoomsHalf`). The
homeserver tells its changes to a `DirectoryListener`. Modules and operators ask more (`Lookups`).

Adapters are plain classes that take plain arguments; `app/` alone chooses among them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId, RoomAlias, RoomId, ServerName, StreamPosition, UserId
from lamplighter.pieces import Pieces
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.state import UserPresenceState

__all__ = [
    "NO_HEAD",
    "Account",
    "BackoffState",
    "BackoffStore",
    "DeviceRecord",
    "DirectoryListener",
    "Headers",
    "Hearing",
    "Identity",
    "JoinedMember",
    "Json",
    "Lookups",
    "Membership",
    "MembershipChange",
    "ModuleDirectory",
    "Outgoing",
    "PendingRooms",
    "PresenceStore",
    "Profile",
    "RequestHead",
    "Requester",
    "RoomsAnswer",
    "RoomsHalf",
    "SavedPresence",
    "Spread",
    "SyncRequest",
    "WayToNodes",
]

#: The headers of a request, their names in lower case.
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
#: A JSON object whose meaning is not ours to know: event content, account data, a filter.
Json = dict[str, Any]


class Requester(msgspec.Struct, frozen=True, gc=False):
    """The device that sends a request. It is a Struct, because it is the key of hot tables."""

    user_id: UserId
    device_id: DeviceId


def _nowhere() -> str:
    return ""


class RequestHead(msgspec.Struct, frozen=True):
    """What a client sent before the body, but for method and target; and where it came from."""

    headers: Headers = ()
    #: Returns the IP address at the other end of the connection, a proxy's for instance; "" if it
    #: is unknown. To ask for it costs a system call.
    peer: Callable[[], str] = _nowhere


#: Of a request about whose sender nothing more is known.
NO_HEAD: Final = RequestHead()


@dataclass(frozen=True, slots=True)
class Account:
    """An account, apart from its password."""

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
    """A user's profile; None is not set."""

    displayname: str | None
    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class JoinedMember:
    """A user's membership `join` of a room, and the instant of the join."""

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
    """Is told of what happens at the homeserver, once that is stored there."""

    def memberships_changed(self, changes: Sequence[MembershipChange]) -> None:
        """Users have joined or stopped being joined. Changes of profiles are not told."""

    def devices_gone(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """Devices have logged out or were deleted."""

    def tokens_revoked(self, user_id: UserId, device_ids: Sequence[DeviceId]) -> None:
        """The old access tokens of these devices, which go on existing, have ended."""

    def user_deactivated(self, user_id: UserId) -> None:
        """The account is gone. Its devices were told before; the rooms it leaves come after."""

    def rooms_news(self, user_ids: Iterable[UserId]) -> None:
        """The rooms half of these users' next `/sync` has something to say."""


class Spread(Protocol):
    """Tells every node of a cluster what one of them has written to the homeserver's database."""

    def __call__(self, news: bytes, /) -> Awaitable[None]:
        """Append *news* to the stream; return what is done once this node has heard them.

        Every node hears them: in the order of the stream, each once, this node too. The awaitable
        raises `ClusterUnavailable` if they cannot be appended, and may be cancelled; then it is
        not known whether they were appended.
        """


class Hearing(Protocol):
    """What a homeserver does with what its nodes have given to `Spread`."""

    def heard(self, position: StreamPosition, news: bytes, /) -> None:
        """Hear what a node has given to `Spread`, in the order of the stream.

        Raises `ValueError` for news of another version.
        """

    def memberships_in(self, news: bytes, /) -> Sequence[MembershipChange]:
        """Return who has joined and left by what a node has given to `Spread`."""

    async def kept(self, told: Mapping[StreamPosition, bytes], /) -> Sequence[bytes]:
        """Return the news that are kept, and those that the stream has *told*, in their order.

        Raises `StorageUnavailable`.
        """

    async def stream_lost(self) -> Sequence[bytes]:
        """Catch up: the stream has lost what was told last, and other nodes may have heard it.

        Returns the news that this node has heard now. It tells them again: nodes that have started
        since know them from the database, and their clients do not.

        Raises `StorageUnavailable`, and `ClusterRefused` where only a start can catch up.
        """


@dataclass(frozen=True, slots=True)
class WayToNodes:
    """What a homeserver has of the cluster that its node is one of."""

    spread: Spread
    #: Returns once this node has heard all that was acknowledged anywhere before the call. Raises
    #: `ClusterUnavailable` on a node that cannot know that.
    catch_up: Callable[[], Awaitable[None]]
    #: Everything that stands in the stream after this position is heard.
    after: StreamPosition


class Identity(Protocol):
    """Tells which device sends a request.

    The tokens in use are kept in memory. A node learns of a log-out on another node when it hears
    of it in the stream: `authenticate` waits for that, `requester_in_use` does not.

    A request is identified by its access token, and by its query as the client sent it: there an
    application service names the user for whom it acts. The `DirectoryListener` is told of devices
    and tokens that end.
    """

    async def authenticate(
        self, access_token: str, query: str = "", head: RequestHead = NO_HEAD, /
    ) -> Requester:
        """Return the sender of a request; raise `UnknownToken`.

        *head* is for a homeserver that notes from where its users come.
        """

    def requester_in_use(
        self, access_token: str, now: Timestamp, query: str = "", /
    ) -> Requester | None:
        """Return the sender of a request that came *now*, if known without asking anybody.

        The built-in homeserver learns of log-outs by what it hears of writes.
        """

    def is_guest(self, user_id: UserId, /) -> bool:
        """Tell whether the sender of a request, who was identified just now, is a guest."""


class Membership(Protocol):
    """Tells who is joined to which room. The `DirectoryListener` is told of changes.

    The built-in homeserver tells the listener on each node that hears of the change.
    """

    async def members(self) -> Sequence[JoinedMember]:
        """Return every present membership `join`, the oldest first; asked once, at start-up."""

    async def joined_rooms(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the rooms to which the user is joined."""

    async def room_name(self, room_id: RoomId) -> str | None:
        """Return the room's name, else its alias, else None."""


class SyncRequest(msgspec.Struct, frozen=True):
    """A `/sync`, as `RoomsHalf` is asked for its part of the answer."""

    #: The query as the client sent it, percent-encoded.
    query: str = ""
    #: The rooms part of the since token; None for a first sync, or where the token has none.
    since: str | None = None
    timeout: timedelta = timedelta(0)
    #: The filter that the query names: the ID of an uploaded one, or JSON.
    filter: str | None = None
    full_state: bool = False


class RoomsAnswer(msgspec.Struct, frozen=True):
    """The rooms half of an answer to `/sync`."""

    #: The rooms part of the token to go on from.
    next_batch: str
    #: A JSON object without `next_batch` and `presence`, and without white space at its ends. Its
    #: members reach the client as they are. A body in pieces has at least one member.
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
        """The token of an answer with presence alone, as of the last `take`.

        It is None while no answer may go out before `take` has returned one. The built-in
        homeserver knows that rooms are quiet by what it has heard of writes.
        """

    def take(self) -> RoomsAnswer | None:
        """Return an answer that is worth sending, if there is one now.

        The homeserver is asked by the first call, not before. Raises what went wrong.
        """

    def cancel(self) -> None:
        """Learn that the poll is over, with this half or without it."""


class RoomsHalf(Protocol):
    """The part of a `/sync` that is not presence.

    With another homeserver the waiting is a request to it. So a request is begun and then looked
    at: when a pending half has something new to `take`, the `DirectoryListener` is told
    (`rooms_news`), which wakes the user's polls. The query and the head come as the client sent
    them, with its credentials.

    The built-in homeserver finds without a question to the database that there is nothing new: from
    what it has heard of writes.
    """

    def begin(
        self, requester: Requester, request: SyncRequest, head: RequestHead, /
    ) -> PendingRooms:
        """Return the rooms half of a request; raise `BadJson` or `InvalidParam` for its filter."""

    async def filter(
        self, requester: Requester, request: SyncRequest, head: RequestHead, filter_id: str, /
    ) -> Json:
        """Return the requester's uploaded filter; raise `NotFound`."""


class ModuleDirectory(Protocol):
    """What modules may read of the homeserver, and account data, which they may write."""

    async def authenticate(self, access_token: str, /) -> Requester:
        """Return the owner of the token; raise `UnknownToken`."""

    def is_guest(self, user_id: UserId, /) -> bool:
        """Tell whether the owner of a token, who was identified just now, is a guest."""

    async def account(self, user_id: UserId) -> Account | None:
        """Return the account, deactivated ones included; None if there never was one."""

    async def profile(self, user_id: UserId) -> Profile:
        """Return the user's profile; raise `NotFound` for users that do not exist."""

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        """Return the user's data of this type, global or of a room; None if there is none."""

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        """Store the user's data of this type."""

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        """Return the room of an alias; raise `NotFound`."""

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        """Return the state events with these (type, state key); a state key of None means any.

        There is no check of permissions.
        """


class Lookups(Identity, ModuleDirectory, Protocol):
    """Answers modules, operators and other servers, beside presence.

    Raises `StorageUnavailable` where the homeserver cannot answer.
    """

    async def accounts(
        self, after: UserId | None, limit: int, containing: str = ""
    ) -> Sequence[Account]:
        """Return accounts by user ID, closed ones too, with *containing* in localpart or name."""

    async def devices(self, user_id: UserId) -> Sequence[DeviceRecord]:
        """Return the user's devices."""


class SavedPresence(msgspec.Struct, frozen=True):
    """A user's presence as it is stored: without devices, with its position in the stream."""

    user: TrackedUser
    position: StreamPosition


class PresenceStore(Protocol):
    """Keeps presence across restarts."""

    async def load(self) -> Sequence[SavedPresence]:
        """Return what was saved."""

    def save(self, states: Sequence[SavedPresence]) -> "asyncio.Future[None]":
        """Return a future that is done once *states* would survive the process's death.

        The future fails with `StorageUnavailable` where they would not. Calls at one time share a
        commit. A state that could not be written goes with the next call, unless that has a
        newer state of the user. So a call without states finds out whether the disk works again.
        """

    def forget(self, user_id: UserId) -> None:
        """Delete what is stored of the user, with the next commit."""

    async def settle(self) -> None:
        """Return once every `save` so far is done, or has failed."""


class Outgoing(Protocol):
    """The way to other servers."""

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        """Send *states* of our users to the server soon, the newest of each user. Never waits."""

    def take_back(self) -> AbstractSet[UserId]:
        """Forget every state that is not on its way yet; return the users of those states."""

    def withdraw(self, server_name: ServerName, users: AbstractSet[UserId]) -> AbstractSet[UserId]:
        """Forget the states of *users* for one server; return those of them who had any."""

    @property
    def reaches_others(self) -> bool:
        """Whether there is a way at all."""

    def sends_to(self, server_name: ServerName) -> bool:
        """Tell whether this node is the one that sends to a server."""

    def cease(self, is_theirs: Callable[[ServerName], bool]) -> None:
        """Forget everything that such servers have not got: another node sends to them now."""

    async def take_over(self, is_ours: Callable[[ServerName], bool]) -> None:
        """Learn which of such servers did not answer the node that has sent to them until now.

        Raises `StorageUnavailable`.
        """

    def heard_from(self, server_name: ServerName) -> None:
        """A server has sent us a request: if its last answer failed, it is tried again soon."""


@dataclass(frozen=True, slots=True)
class BackoffState:
    """A server that does not answer."""

    #: Failures in a row.
    failures: int
    retry_at: Timestamp


class BackoffStore(Protocol):
    """Keeps across restarts which servers are not asked for a while."""

    async def load(self) -> Mapping[ServerName, BackoffState]:
        """Return what was saved."""

    async def save(self, server_name: ServerName, state: BackoffState | None) -> None:
        """Store until when a server is not asked; None deletes it. Raises `StorageUnavailable`."""

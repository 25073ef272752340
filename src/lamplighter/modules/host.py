"""What the modules floor asks of the server around it: Protocols, and the facts."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lamplighter.ids import RoomAlias, RoomId, ServerName, UserId
from lamplighter.ports import Account, Json, Profile, Requester
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.registrations import Registrations

__all__ = [
    "ModuleDirectory",
    "ModuleExchange",
    "PresenceHost",
    "PresenceListener",
    "ServerFacts",
]

#: Told of the presences that have just been announced.
PresenceListener = Callable[[Sequence[UserPresenceState]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a module may know of the server it runs in."""

    server_name: ServerName
    #: Where clients reach the server, with a slash at the end.
    public_baseurl: str
    #: What `set_presence_for_users` may set.
    presences: frozenset[Presence] = frozenset(Presence)


class ModuleExchange(Protocol):
    """Decides which modules are asked."""

    def prepare(self) -> Registrations:
        """Return what modules register in, before anybody asks them."""

    def adopt(self, registrations: Registrations) -> None:
        """Ask the first modules of a server, from now on."""

    async def try_out(self, registrations: Registrations) -> None:
        """Ask modules without effect; raise `ModuleError` where one fails."""

    def left_undone(self, module: str, call: str) -> None:
        """A module in the shadow has asked for something that would change the server."""

    async def swap(self, registrations: Registrations, along: Callable[[], None]) -> None:
        """Ask these modules, and no others, from one instant on; call *along* at that instant."""


class PresenceHost(Protocol):
    """What modules do to presence, and learn of it."""

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        """Give each of *users* one full snapshot of the online users it may see."""

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        """Set the presence and the status message of *users*, and announce them."""

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        """Return the user's presence; that of an unknown user is the default one."""

    def subscribe(self, callback: PresenceListener, module: str) -> Callable[[], None]:
        """Tell *callback* of every announced change until what is returned is called."""


class ModuleDirectory(Protocol):
    """What modules may read of the homeserver, and account data, which they may write."""

    async def authenticate(self, access_token: str) -> Requester:
        """Return whose token it is; raise `UnknownToken`."""

    async def account(self, user_id: UserId) -> Account | None:
        """Return what is kept of the account, or None if there never was one."""

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
        """Return the room an alias names; raise `NotFound`."""

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        """Return state events by (type, state key), any state key where that is None; no checks."""

"""What this package needs from the server: Protocols, and facts about the server."""

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

#: Gets the states that were announced.
PresenceListener = Callable[[Sequence[UserPresenceState]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a module may know about its server."""

    server_name: ServerName
    #: The base URL for clients, with a slash at the end.
    public_baseurl: str
    #: The presences that `set_presence_for_users` accepts.
    presences: frozenset[Presence] = frozenset(Presence)


class ModuleExchange(Protocol):
    """Decides which modules the server asks."""

    def prepare(self) -> Registrations:
        """Return an object in which modules register before the server asks them."""

    def adopt(self, registrations: Registrations) -> None:
        """Use the first modules of a server from now on."""

    async def try_out(self, registrations: Registrations) -> None:
        """Ask modules without using the answers; raise `ModuleError` if one fails."""

    def left_undone(self, module: str, call: str) -> None:
        """Count a call by which a module in the shadow would change the server."""

    async def swap(self, registrations: Registrations, along: Callable[[], None]) -> None:
        """Replace the modules in use at one instant, and call *along* at that instant."""


class PresenceHost(Protocol):
    """How modules read and set presence."""

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        """Send each of *users* one snapshot of all online users that the user may see."""

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        """Set and announce the state and the status message of *users*."""

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        """Return the user's state; of an unknown user the default one."""

    def subscribe(self, callback: PresenceListener, module: str) -> Callable[[], None]:
        """Call *callback* with every announced change; return a function that ends this."""


class ModuleDirectory(Protocol):
    """What modules may read of the homeserver, and account data, which they may write."""

    async def authenticate(self, access_token: str) -> Requester:
        """Return the owner of the token; raise `UnknownToken`."""

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

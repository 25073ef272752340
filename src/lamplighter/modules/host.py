"""What this package needs from the server: Protocols, and facts about the server."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lamplighter.ids import ServerName, UserId
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.registrations import Registrations

__all__ = [
    "ONLY_NODE",
    "ModuleExchange",
    "ModuleNode",
    "PresenceHost",
    "PresenceListener",
    "ServerFacts",
]

#: Gets the states that were announced.
PresenceListener = Callable[[Sequence[UserPresenceState]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ModuleNode:
    """What this process is among the nodes of its server."""

    #: Its name; None if there are no others.
    name: str | None
    #: Tells whether it does what one node at a time does. The answer changes when that node ends.
    is_chosen: Callable[[], bool]


#: The node of a server that has no others.
ONLY_NODE: Final = ModuleNode(None, lambda: True)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a module may know about its server."""

    server_name: ServerName
    #: The base URL for clients, with a slash at the end.
    public_baseurl: str
    #: The presences that `set_presence_for_users` accepts.
    presences: frozenset[Presence] = frozenset(Presence)
    node: ModuleNode = ONLY_NODE


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

"""The homeserver whose users have presence here, as a server is built around it."""

from collections.abc import Sequence
from typing import Protocol

from lamplighter.ports import DirectoryListener, Identity, Lookups, Membership, RoomsHalf
from lamplighter.web.admin.operations import Operation
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.routes import Route

__all__ = ["Homeserver"]


class Homeserver(Protocol):
    """What presence asks of a homeserver, and what the homeserver serves itself."""

    @property
    def identity(self) -> Identity:
        """Who sends a request."""

    @property
    def membership(self) -> Membership:
        """Who is joined to which room."""

    @property
    def rooms_half(self) -> RoomsHalf:
        """The part of a `/sync` that is not presence."""

    @property
    def lookups(self) -> Lookups:
        """What modules, operators and other servers ask beside."""

    async def start(self) -> None:
        """Get ready: nothing is asked before."""

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* of everything that happens from now on."""

    def routes(self, parts: ClientParts) -> Sequence[Route]:
        """Return the endpoints that clients have of this homeserver alone."""

    def operations(self) -> list[Operation]:
        """Return what operators can do to this homeserver alone."""

    def refuse_writes(self) -> None:
        """Begin no write any more: the server is about to stop, and nobody waits for answers."""

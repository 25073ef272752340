"""The homeserver around which a server is built: its users have presence here."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from lamplighter.delivery.tokens import Tokens
from lamplighter.ids import StreamEpoch, StreamPosition
from lamplighter.ports import (
    DirectoryListener,
    Hearing,
    Identity,
    Lookups,
    Membership,
    RoomsHalf,
    WayToNodes,
)
from lamplighter.web.admin.operations import Operation
from lamplighter.web.client.parts import ClientParts

__all__ = ["Homeserver"]


class Homeserver(Hearing, Protocol):
    """A homeserver: the ports that presence asks, and the endpoints that only it serves."""

    @property
    def identity(self) -> Identity:
        """Tells which device sends a request."""

    @property
    def membership(self) -> Membership:
        """Tells who is joined to which room."""

    @property
    def rooms_half(self) -> RoomsHalf:
        """The part of a `/sync` that is not presence."""

    @property
    def lookups(self) -> Lookups:
        """Answers modules, operators and other servers."""

    async def start(self) -> None:
        """Get ready. Nothing else is called before it has returned."""

    @property
    def problem(self) -> str | None:
        """What is wrong between this server and the homeserver, and what to change; None if all is
        well.
        """

    def opened(self) -> None:
        """Learn that the listeners are open."""

    def listen(self, listener: DirectoryListener) -> None:
        """Tell *listener* of everything that happens from now on."""

    def join_cluster(self, way: WayToNodes) -> None:
        """Be one of many nodes; before `start`.

        What a node has given to `spread` is `heard` on every node. Then the listener is told there.
        """

    def told_before(self, told: Mapping[StreamPosition, bytes], /) -> None:
        """Learn what the stream has *told* shortly before the start of this node.

        It comes after `start`, and nobody was told anything yet. It may not be stored.
        """

    def tokens(self, epoch: StreamEpoch, node: str) -> Tokens:
        """Return what reads and writes since tokens: the rooms parts are the homeserver's.

        *node* is the mark of this node in a cluster, "" if it is single.
        """

    def routes(self, parts: ClientParts) -> Sequence[BaseRoute]:
        """Return the endpoints of the client API that only this homeserver serves."""

    @property
    def everything_else(self) -> ASGIApp | None:
        """Answers what no route answers; None if that is an error."""

    def operations(self) -> list[Operation]:
        """Return what operators can do to accounts of this homeserver."""

    def refuse_writes(self) -> None:
        """Begin no write any more: the server stops, and nobody waits for answers."""

    async def stop(self) -> None:
        """Close what `start` has opened."""

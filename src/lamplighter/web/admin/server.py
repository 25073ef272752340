"""The admin API on the server as a whole."""

from dataclasses import dataclass

from starlette.requests import Request

from lamplighter import __version__
from lamplighter.clock import Timestamp
from lamplighter.cluster.positions import format_position
from lamplighter.config import PresenceMode
from lamplighter.ids import ServerName
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.census import Census
from lamplighter.web.admin.content import ServerContent
from lamplighter.web.admin.operations import Operation

__all__ = ["AdminServer", "AdminServerFacts"]


@dataclass(frozen=True, slots=True)
class AdminServerFacts:
    """Facts that do not change while the server runs."""

    server_name: ServerName
    started_at: Timestamp
    mode: PresenceMode
    federation_enabled: bool
    shared_rooms: bool


class AdminServer:
    """Shows the settings and the figures of the server."""

    def __init__(self, facts: AdminServerFacts, census: Census, router: ModuleRouter) -> None:
        self._facts = facts
        self._census = census
        self._router = router

    def operations(self) -> list[Operation]:
        summary = "Show the settings and the figures of the server."
        return [Operation("GET", "/server", summary, self.get, ServerContent)]

    async def get(self, _request: Request) -> ServerContent:
        """Return the settings, and the present figures."""
        facts, figures = self._facts, self._census.take()
        return ServerContent(
            server_name=facts.server_name,
            version=__version__,
            started_ts=facts.started_at,
            now_ts=figures.at,
            presence_enabled=str(facts.mode),
            federation_enabled=facts.federation_enabled,
            shared_rooms=facts.shared_rooms,
            modules=[module.name for module in self._router.modules],
            users={str(presence): number for presence, number in figures.users.items()},
            outboxes=figures.outboxes,
            polls=figures.polls,
            delivered=figures.delivered,
            syncs=figures.syncs,
            cpu_seconds=figures.cpu_seconds,
            position=format_position(figures.position),
        )

"""The admin API on the server as a whole, its cluster, and the servers to which it sends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from lamplighter import __version__
from lamplighter.clock import Timestamp
from lamplighter.cluster.condition import ClusterCondition
from lamplighter.cluster.positions import format_position
from lamplighter.config import Config
from lamplighter.federation.sender import DestinationStatus
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.census import Census
from lamplighter.service.cluster_view import ClusterView
from lamplighter.web.admin.content import DestinationPage, ServerContent
from lamplighter.web.admin.operations import Operation
from lamplighter.web.admin.queries import FROM, LIMIT, page_of

__all__ = ["AdminCluster", "AdminDestinations", "AdminServer"]


@dataclass(frozen=True, slots=True)
class AdminServer:
    """Shows the settings and the figures of the server."""

    config: Config
    started_at: Timestamp
    census: Census
    router: ModuleRouter
    homeserver_problem: Callable[[], str | None]
    can_store: Callable[[], bool]

    def operations(self) -> list[Operation]:
        summary = "Show the settings and the figures of the server."
        return [Operation("GET", "/server", summary, self.get, ServerContent)]

    async def get(self, _request: Request) -> ServerContent:
        """Return the settings, and the present figures."""
        config, figures = self.config, self.census.take()
        return ServerContent(
            server_name=config.server_name,
            version=__version__,
            node=None if config.cluster is None else config.cluster.node,
            started_ts=self.started_at,
            now_ts=figures.at,
            presence_enabled=str(config.presence.enabled),
            federation_enabled=config.federation.enabled,
            homeserver_problem=self.homeserver_problem(),
            can_store=self.can_store(),
            shared_rooms=config.routing.shared_rooms,
            modules=[module.name for module in self.router.modules],
            users={str(presence): number for presence, number in figures.users.items()},
            outboxes=figures.outboxes,
            polls=figures.polls,
            delivered=figures.delivered,
            syncs=figures.syncs,
            cpu_seconds=figures.cpu_seconds,
            position=format_position(figures.position),
        )


class AdminCluster:
    """Shows the cluster in which this server is a node."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    def operations(self) -> list[Operation]:
        summary = "Show the nodes of the cluster, what each owns, and what is wrong."
        return [Operation("GET", "/cluster", summary, self.get, ClusterCondition)]

    async def get(self, _request: Request) -> ClusterCondition:
        """Return the cluster as of this node's last renewal."""
        return self._view.condition()


class AdminDestinations:
    """Shows the servers for which states wait, or which did not answer the last time."""

    def __init__(self, statuses: Callable[[], Sequence[DestinationStatus]]) -> None:
        self._statuses = statuses

    def operations(self) -> list[Operation]:
        summary = "List other servers for which states wait, or which did not answer."
        page = (LIMIT, FROM)
        return [Operation("GET", "/destinations", summary, self.list_all, DestinationPage, page)]

    async def list_all(self, request: Request) -> DestinationPage:
        """Return a page of the destinations, in the order of their names."""
        statuses = {str(status.server_name): status for status in self._statuses()}
        names, next_batch = page_of(request, list(statuses))
        return DestinationPage([statuses[name] for name in names], len(statuses), next_batch)

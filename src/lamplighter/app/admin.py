"""Wires the endpoints for operators."""

import resource
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lamplighter.app.homeserver import Homeserver
from lamplighter.cluster.positions import instant_of
from lamplighter.config import Config
from lamplighter.database.engine import Database
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.sender import DestinationStatus
from lamplighter.metrics import Readings
from lamplighter.service.census import Census
from lamplighter.service.cluster_view import ClusterView
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.explanations import Explanations, RoutingFacts
from lamplighter.service.reload import Reload
from lamplighter.service.room_names import RoomNames
from lamplighter.service.server_visibility import ServerVisibility
from lamplighter.web.access_log import AccessLog
from lamplighter.web.address import ClientAddress
from lamplighter.web.admin.auth import AdminAuth
from lamplighter.web.admin.broadcast import AdminEvents, Broadcast
from lamplighter.web.admin.changes import AdminChanges, RecentBatches
from lamplighter.web.admin.dashboard import Dashboard
from lamplighter.web.admin.endpoints import admin_endpoints
from lamplighter.web.admin.health import Health, Ready
from lamplighter.web.admin.metrics import MetricsPage
from lamplighter.web.admin.modules import AdminModules
from lamplighter.web.admin.server import AdminCluster, AdminDestinations, AdminServer
from lamplighter.web.admin.users import AdminUsers
from lamplighter.web.admin.visibility import AdminVisibility
from lamplighter.web.routes import Route

__all__ = ["Admin"]


@dataclass(frozen=True, slots=True)
class Admin:
    """The endpoints for operators and their tools."""

    routes: Sequence[Route]
    access_log: AccessLog
    explanations: Explanations
    ready: Ready
    _broadcast: Broadcast

    @classmethod
    def begin(
        cls,
        config: Config,
        ports: CorePorts,
        core: Core,
        *,
        homeserver: Homeserver,
        reload: Reload,
        destinations: Callable[[], Sequence[DestinationStatus]],
        storage: Database,
        cluster: ClusterView | None,
    ) -> "Admin":
        """Wire it; the admin API and the dashboard only if the configuration has a token.

        *cluster* is None where this server is alone.
        """
        clock, metrics = ports.clock, ports.metrics
        access_log = AccessLog(clock, metrics.login, ClientAddress(config.trusted_proxies))
        census = Census(
            clock=clock,
            roster=core.roster,
            feed=core.feed,
            metrics=metrics,
            cpu_seconds=lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        )
        metrics.read(
            partial(_readings, census, destinations, storage, lambda: homeserver.problem, cluster)
        )
        lookups, membership = homeserver.lookups, homeserver.membership
        names = RoomNames(membership, clock)
        explanations = _explanations(config, core, homeserver, names)

        def can_store() -> bool:
            return storage.can_write

        def problem() -> str | None:
            return homeserver.problem

        is_node = cluster is not None
        node_problem = _no_problem if cluster is None else cluster.problem
        ready = Ready(can_store, storage.try_again, problem, node_problem, shares_storage=is_node)
        broadcast = Broadcast(core.witnesses.observe, census, names, clock)
        routes = [
            *Health(can_store).routes(),
            *ready.routes(),
            *MetricsPage(metrics).routes(),
        ]
        if config.admin.token_hash is not None:
            routes += admin_endpoints(
                AdminAuth(config.admin.token_hash, access_log),
                AdminServer(config, clock.now(), census, core.router, problem, can_store),
                *([] if cluster is None else [AdminCluster(cluster)]),
                AdminUsers(lookups, membership, core, names),
                AdminVisibility(explanations, config.server_name),
                AdminModules(core.router, core.shadows.samples, reload),
                AdminDestinations(destinations),
                homeserver,
                AdminEvents(broadcast),
                AdminChanges(RecentBatches(core.witnesses.observe), names, config.server_name),
            )
            routes += Dashboard().routes()
        return cls(routes, access_log, explanations, ready, broadcast)

    def close(self) -> None:
        """End the streams: the server is about to stop."""
        self.ready.closing()
        self._broadcast.close()


def _no_problem() -> None:
    """Have no problem: a server that is alone is in no cluster."""


def _explanations(
    config: Config, core: Core, homeserver: Homeserver, names: RoomNames
) -> Explanations:
    facts = RoutingFacts(
        config.server_name,
        config.presence.enabled,
        config.routing.shared_rooms,
        frozenset(config.routing.exclude_rooms),
        config.routing.most_members,
        config.routing.members_rule,
        ServerPolicy(config.federation.allow_servers, config.federation.deny_servers).admits
        if config.federation.enabled
        else lambda _server_name: False,
    )
    return Explanations(
        facts=facts,
        lookups=homeserver.lookups,
        membership=homeserver.membership,
        roster=core.roster,
        router=core.router,
        caught_up=core.reader.caught_up,
        views=core.views,
        servers=ServerVisibility(config.server_name, core.roster, core.views, core.remotes),
        room_names=names,
        rooms=core.rooms,
    )


def _readings(
    census: Census,
    destinations: Callable[[], Sequence[DestinationStatus]],
    storage: Database,
    homeserver_problem: Callable[[], str | None],
    cluster: ClusterView | None,
) -> Readings:
    figures, statuses = census.take(), destinations()
    states = Counter("backing_off" if it.failures else "ready" for it in statuses)
    return Readings(
        users={str(presence): number for presence, number in figures.users.items()},
        outboxes=figures.outboxes,
        polls=figures.polls,
        stream_seconds=instant_of(figures.position) / 1000,
        destinations={state: states[state] for state in ("ready", "backing_off")},
        queued=sum(it.queued for it in statuses),
        storage_failures=storage.failures,
        homeserver_problems=int(homeserver_problem() is not None),
        cluster=None if cluster is None else cluster.readings(),
    )

"""Builds a server: chooses its parts, and wires them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp

from lamplighter.app.admin import Admin
from lamplighter.app.cluster import Cluster, SingleNode, join_node, migrate_among_nodes
from lamplighter.app.endpoints import wire_endpoints
from lamplighter.app.federation import Federation, Nowhere
from lamplighter.app.homeserver import Homeserver
from lamplighter.app.modules import module_runtime, recorder_of
from lamplighter.app.presence import wire_presence
from lamplighter.app.signing_keys import keep_own_keys, own_keys_made
from lamplighter.app.storage import Storage
from lamplighter.clock import Clock
from lamplighter.cluster.log import Log
from lamplighter.config import Config
from lamplighter.database.backoffs import SqlBackoffStore
from lamplighter.database.engine import Database
from lamplighter.database.presence import SqlPresenceStore
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.transport import Transport
from lamplighter.homeserver.builtin import BuiltInHomeserver
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.upstream.client import Connect
from lamplighter.homeserver.upstream.homeserver import UpstreamHomeserver
from lamplighter.metrics import Metrics
from lamplighter.modules.loader import ConfiguredModule, module_entries
from lamplighter.modules.runtime import ModuleRuntime, ReloadSource
from lamplighter.recording.recorder import FLUSH_PERIOD, Recorder
from lamplighter.service.background import Background
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.reload import Reload
from lamplighter.stopping import Step, stop_by_steps
from lamplighter.web.http.exchange import FindDirect
from lamplighter.web.http.server import HttpServer
from lamplighter.web.http.settings import ConnectionRoom
from lamplighter.web.limits import limiter
from lamplighter.web.listener import Listener, room_for_connections
from lamplighter.web.server import matrix_server

__all__ = ["MOST_TO_STOP", "Lamplighter", "build", "listeners"]

#: How long each of seven steps of stopping may take: more than modules are waited for.
_SHARE: Final = timedelta(seconds=3)
#: How long a server takes to stop at most, after the last answers.
MOST_TO_STOP: Final = 7 * _SHARE


@dataclass(frozen=True, slots=True)
class Lamplighter:
    """A server, wired, with its modules loaded; it runs between `start` and `stop`."""

    config: Config
    #: The ASGI application, which answers requests for which `find_direct` finds nothing.
    application: ASGIApp
    find_direct: FindDirect
    core: Core
    admin: Admin
    homeserver: Homeserver
    metrics: Metrics
    modules: ModuleRuntime
    #: None where it is not enabled.
    federation: Federation | None
    node: SingleNode | Cluster
    _background: Background
    _recorder: Recorder | None
    _database: Database
    _clock: Clock

    @property
    def directory(self) -> SqlDirectory:
        """The directory of the built-in homeserver; raise `LookupError` if there is another."""
        if not isinstance(self.homeserver, BuiltInHomeserver):
            raise LookupError("the homeserver is not the built-in one")
        return self.homeserver.directory

    @property
    def reload(self) -> Reload:
        """What replaces the modules: of every node, if there are several."""
        return self.node.reload_of(self.modules)

    def start(self) -> None:
        """Begin to watch the time, and let the modules' background work begin."""
        self.core.start()
        self.node.start()
        self.modules.start()
        if self._recorder is not None:
            self._background.every(FLUSH_PERIOD, self._recorder.flush)

    def opened(self) -> None:
        """Note that the server listens: it is ready."""
        self.admin.ready.opened()
        self.homeserver.opened()

    def http_server(self, clock: Clock, room: ConnectionRoom | None = None) -> HttpServer:
        """Return the server for clients; *room* is for all servers of the process."""
        return matrix_server(
            self.application,
            clock,
            find_direct=self.find_direct,
            room=room,
            count_refused=self.metrics.connection_refused,
        )

    def answer_polls(self) -> None:
        """Answer every open poll, and end streams: the first step of stopping."""
        self.admin.close()
        self.core.feed.close()

    async def stop(self) -> None:
        """Save what is at hand and close everything, after requests have been answered.

        It takes `MOST_TO_STOP` at most. A write that is under way is finished; writes that wait for
        it are refused, because nobody waits for their answers any more.
        """
        self.answer_polls()
        self.homeserver.refuse_writes()
        # First those who use others.
        steps = [Step("modules", _SHARE, self.modules.stop)]
        steps.append(Step("the cluster", _SHARE, self.node.leave))
        steps.append(Step("presence", _SHARE, self.core.stop))
        if self.federation is not None:
            steps.append(Step("federation", _SHARE, self.federation.stop))
        if self._recorder is not None:
            steps.append(Step("the record", _SHARE, self._recorder.close))
        steps.append(Step("the homeserver", _SHARE, self.homeserver.stop))
        steps.append(Step("the database", _SHARE, self._database.close))
        await stop_by_steps(self._clock, steps)


@dataclass(frozen=True, slots=True)
class _StandIns:
    """What stands in for parts that the configuration names; None is as configured."""

    transport: Transport | None
    homeserver: Homeserver | None
    connect: Connect | None
    log: Log | None


async def build(
    config: Config,
    clock: Clock,
    storage: Storage,
    modules: Sequence[ConfiguredModule] | None = None,
    transport: Transport | None = None,
    read_config: Callable[[], Config] | None = None,
    homeserver: Homeserver | None = None,
    connect: Connect | None = None,
    log: Log | None = None,
) -> Lamplighter:
    """Wire a server: restore what was saved and load the modules.

    *modules* stand in for those of the config, and *transport* for connections to other servers.
    *read_config* is where modules are looked up when they are reloaded: *config* itself if None.
    *homeserver* is the one that *config* names if None; *connect* opens connections to it.
    *log* stands in for that of the cluster's Valkey.
    Raises `ConfigError`, `ModuleError` and `StorageUnavailable`.
    """

    def entries(source: Config) -> Sequence[ConfiguredModule]:
        return module_entries(source) if modules is None else modules

    try:
        source = ReloadSource(config, read_config or (lambda: config), entries)
        given = _StandIns(transport, homeserver, connect, log)
        server = await _build(config, clock, storage, source, given)
        server.modules.load(entries(config))
    except BaseException:
        await storage.database.close()
        raise
    return server


async def _build(
    config: Config, clock: Clock, storage: Storage, source: ReloadSource, given: _StandIns
) -> Lamplighter:
    log = await migrate_among_nodes(config, clock, storage.database, given.log)
    metrics = Metrics()
    store = SqlPresenceStore(storage.database, metrics.committed)
    node, keys = await _joined(config, clock, storage, store, source.entries(config), log)
    clock = node.clock
    background = Background(clock)
    homeserver = given.homeserver or _homeserver(config, clock, storage, background, given.connect)
    node.include(homeserver)
    await homeserver.start()
    federation = await _federation(config, clock, storage, keys, given.transport)
    recorder = recorder_of(config, clock)
    transitions = limiter(config.rate_limits.presence, clock)
    ports = CorePorts(
        clock,
        background,
        metrics,
        store,
        SqlVisibilityStore(storage.database),
        node.outgoing(federation.outgoing if federation else Nowhere()),
        node.make_stream,
        transitions.allows,
        node.mark,
        homeserver,
    )
    core = await _core(config, ports, node, homeserver, recorder)
    loading = module_runtime(
        clock, core, homeserver.lookups, source, storage.module_databases, node.for_modules
    )
    admin = Admin.begin(
        config,
        ports,
        core,
        homeserver=homeserver,
        reload=node.reload_of(loading),
        destinations=federation.destinations if federation else list,
        storage=storage.database,
        cluster=node.view,
    )
    application, find_direct = wire_endpoints(
        config, ports, homeserver, core, loading, admin, transitions, federation
    )
    return Lamplighter(
        config=config,
        application=application,
        find_direct=find_direct,
        core=core,
        admin=admin,
        homeserver=homeserver,
        metrics=metrics,
        modules=loading,
        federation=federation,
        node=node,
        _background=background,
        _recorder=recorder,
        _database=storage.database,
        _clock=clock,
    )


async def _joined(
    config: Config,
    clock: Clock,
    storage: Storage,
    store: SqlPresenceStore,
    modules: Sequence[ConfiguredModule],
    log: Log | None,
) -> tuple[SingleNode | Cluster, SigningKeys | None]:
    """Return what this server is in its cluster, and its keys, which the database then knows."""
    keys = await own_keys_made(config, storage.data_dir, storage.database)
    node = await join_node(config, clock, store, modules, keys, log)
    # Not before: a node that differs from those that run is refused, and changes nothing.
    await keep_own_keys(config, storage.database, keys)
    return node, keys


async def _core(
    config: Config,
    ports: CorePorts,
    node: SingleNode | Cluster,
    homeserver: Homeserver,
    recorder: Recorder | None,
) -> Core:
    """Restore presence, and let the homeserver tell it what happens from now on."""
    saved, told, ended = await node.caught_up(await ports.store.load())
    homeserver.told_before(told)
    members = await homeserver.membership.members()
    core = await wire_presence(config, ports, members, [recorder] if recorder else [], saved)
    await core.resuming.resume(told, ended)
    homeserver.listen(node.wire(core, ports))
    if recorder is not None:
        recorder.begin(members, core.roster.known(), ())
    return core


def _homeserver(
    config: Config,
    clock: Clock,
    storage: Storage,
    background: Background,
    connect: Connect | None,
) -> Homeserver:
    if config.homeserver is None:
        return BuiltInHomeserver(config, clock, storage.database, background)
    database = storage.database
    return UpstreamHomeserver(config, config.homeserver, clock, database, background, connect)


async def _federation(
    config: Config,
    clock: Clock,
    storage: Storage,
    keys: SigningKeys | None,
    transport: Transport | None,
) -> Federation | None:
    if keys is None:
        return None
    store = SqlBackoffStore(storage.database)
    return await Federation.begin(config, clock, keys, store, transport)


def listeners(server: Lamplighter, clock: Clock) -> list[Listener]:
    """Return what serves *server*, one for each address; raise `ConfigError`."""
    room = ConnectionRoom(room_for_connections())
    serving = [Listener(server.http_server(clock, room), it) for it in server.config.listen]
    if server.federation is not None and server.config.homeserver is None:
        serving.append(
            server.federation.listener(
                server.core.federated, server.homeserver.lookups, server.metrics, room
            )
        )
    return serving

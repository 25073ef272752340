"""Builds a server: chooses its parts, and wires them together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from starlette.routing import BaseRoute

from lamplighter.app.admin import Admin
from lamplighter.app.federation import Federation, Nowhere
from lamplighter.app.modules import Modules, ModuleSources, recorder_of
from lamplighter.app.presence import limiter, wire_presence
from lamplighter.clock import Clock
from lamplighter.cluster.local import LocalBus
from lamplighter.config import Config, Rate
from lamplighter.database.backoffs import SqlBackoffStore
from lamplighter.database.engine import Database, open_file, open_memory
from lamplighter.database.migrate import migrate
from lamplighter.database.presence import SqlPresenceStore
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.delivery.tokens import Tokens
from lamplighter.errors import ConfigError
from lamplighter.federation.transport import Transport
from lamplighter.homeserver.client import client_endpoints
from lamplighter.homeserver.client.events import Events
from lamplighter.homeserver.client.heavy import HeavyReads
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.metrics import Metrics
from lamplighter.modules.loader import ConfiguredModule, module_entries
from lamplighter.modules.reload import ModuleReload
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.ports import Directory
from lamplighter.recording.recorder import FLUSH_PERIOD, Recorder
from lamplighter.room_ports import BuiltInDirectory
from lamplighter.service import PresenceService
from lamplighter.service.background import Background
from lamplighter.service.core import Core, CorePorts
from lamplighter.service.shadow import ShadowModules
from lamplighter.stopping import Step, stop_by_steps
from lamplighter.web.address import ClientAddress
from lamplighter.web.application import build_application
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.filters_in_use import FiltersInUse
from lamplighter.web.client.long_poll import LongPoll
from lamplighter.web.client.presence import PresenceStatus
from lamplighter.web.client.presence_events import PresenceEncoder
from lamplighter.web.client.presence_names import PresenceNames
from lamplighter.web.client.sync import Sync
from lamplighter.web.client.sync_body import SyncBodies
from lamplighter.web.entry import Entry
from lamplighter.web.federation.version import WellKnownServer
from lamplighter.web.front_page import FrontPage
from lamplighter.web.limits import Limiter
from lamplighter.web.listener import Listener
from lamplighter.web.places import Places
from lamplighter.web.routes import ChangingResources, Route

__all__ = ["MOST_TO_STOP", "Lamplighter", "Storage", "build", "listeners"]

#: How long each of five steps of stopping may take: more than modules are waited for.
_SHARE: Final = timedelta(seconds=3)
#: How long a server takes to stop at most, after the last answers.
MOST_TO_STOP: Final = 5 * _SHARE


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a server keeps things."""

    database: Database
    #: The file of the modules' own database; None keeps it in memory.
    modules_path: Path | None

    @classmethod
    def in_directory(cls, data_dir: Path) -> "Storage":
        """Keep everything below *data_dir*; raise `ConfigError` if that cannot be made."""
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"data_dir: {data_dir} cannot be made: {error.strerror}") from None
        return cls(open_file(data_dir / "lamplighter.db"), data_dir / "modules.db")

    @classmethod
    def in_memory(cls) -> "Storage":
        """Keep everything until the process ends."""
        return cls(open_memory(), None)


@dataclass(frozen=True, slots=True)
class Lamplighter:
    """A server, wired, with its modules loaded; it runs between `start` and `stop`."""

    config: Config
    #: The ASGI application.
    application: Entry
    presence: PresenceService
    admin: Admin
    directory: Directory
    metrics: Metrics
    modules: ModuleRuntime
    #: Puts the modules of the configuration, as it is by then, in the place of those that run.
    module_reload: ModuleReload
    #: What the modules in the shadow would decide otherwise.
    shadows: ShadowModules
    #: None where it is not enabled.
    federation: Federation | None
    _background: Background
    _recorder: Recorder | None
    _database: Database
    _clock: Clock
    #: Has the built-in directory begin no write any more.
    _refuse_writes: Callable[[], None]

    def start(self) -> None:
        """Begin to watch the time, and let the modules' background work begin."""
        self.presence.start()
        self.modules.start()
        if self._recorder is not None:
            self._background.every(FLUSH_PERIOD, self._recorder.flush)

    def opened(self) -> None:
        """Everybody can connect from now on."""
        self.admin.ready.opened()

    def answer_polls(self) -> None:
        """Answer every open poll, and end streams: the first step of stopping."""
        self.admin.close()
        self.presence.answer_polls()

    async def stop(self) -> None:
        """Save what is at hand and close everything; requests have been answered before.

        It takes `MOST_TO_STOP` at most. A write that is under way is finished; those that wait for
        it are refused, for nobody waits for their answers any more.
        """
        self.answer_polls()
        self._refuse_writes()
        await stop_by_steps(self._clock, self._steps())

    def _steps(self) -> Sequence[Step]:
        """Return what there is to stop: first those who use others."""
        steps = [Step("modules", _SHARE, self.modules.stop)]
        steps.append(Step("presence", _SHARE, self.presence.stop))
        if self.federation is not None:
            steps.append(Step("federation", _SHARE, self.federation.stop))
        if self._recorder is not None:
            steps.append(Step("the record", _SHARE, self._recorder.close))
        return [*steps, Step("the database", _SHARE, self._database.close)]


async def build(
    config: Config,
    clock: Clock,
    storage: Storage,
    modules: Sequence[ConfiguredModule] | None = None,
    transport: Transport | None = None,
    read_config: Callable[[], Config] | None = None,
) -> Lamplighter:
    """Wire a server: restore what was saved and load the modules.

    *modules* stand in for those of the config, and *transport* for connections to other servers.
    *read_config* is where modules are looked up when they are reloaded: *config* itself if None.
    Raises `ConfigError`, `ModuleError` and `StorageUnavailable`.
    """

    def entries(source: Config) -> Sequence[ConfiguredModule]:
        return module_entries(source) if modules is None else modules

    try:
        server = await _build(config, clock, storage, transport, entries, read_config)
        server.modules.load(entries(config))
    except BaseException:
        await storage.database.close()
        raise
    return server


async def _build(
    config: Config,
    clock: Clock,
    storage: Storage,
    transport: Transport | None,
    entries: Callable[[Config], Sequence[ConfiguredModule]],
    read_config: Callable[[], Config] | None,
) -> Lamplighter:
    await migrate(storage.database)
    directory = SqlDirectory(storage.database, config.server_name, clock)
    await directory.start()
    metrics, background = Metrics(), Background(clock)
    store = SqlPresenceStore(storage.database, metrics.committed)
    visibility = SqlVisibilityStore(storage.database)
    members = await directory.members()
    federation = await _federation(config, clock, storage, transport)
    outgoing = federation.outgoing if federation else Nowhere()
    recorder = recorder_of(config, clock)
    transitions = limiter(config.rate_limits.presence, clock)
    ports = CorePorts(
        clock, background, metrics, store, visibility, outgoing, LocalBus, transitions.allows
    )
    core = await wire_presence(config, ports, members, [recorder] if recorder else [])
    directory.listen(core.presence)
    if recorder is not None:
        recorder.begin(members, list(core.tracker.known()), ())
    sources = ModuleSources(entries, read_config or (lambda: config), storage.modules_path)
    loading = Modules.begin(config, clock, core, directory=directory, sources=sources)
    admin = Admin.begin(
        config,
        clock,
        core,
        directory=directory,
        metrics=metrics,
        reload=loading.reload,
        destinations=federation.destinations if federation else list,
        storage=storage.database,
    )
    application = _application(
        config, clock, background, directory, core, metrics, loading.runtime, admin, transitions
    )
    return Lamplighter(
        config,
        application,
        core.presence,
        admin,
        directory,
        metrics,
        loading.runtime,
        loading.reload,
        core.shadows,
        federation,
        background,
        recorder,
        storage.database,
        clock,
        directory.refuse_writes,
    )


async def _federation(
    config: Config, clock: Clock, storage: Storage, transport: Transport | None
) -> Federation | None:
    if not config.federation.enabled:
        return None
    data_dir = storage.modules_path.parent if storage.modules_path else None
    store = SqlBackoffStore(storage.database)
    return await Federation.begin(config, clock, data_dir, store, transport)


def listeners(server: Lamplighter, clock: Clock) -> list[Listener]:
    """Return what serves *server*, one for each address; raise `ConfigError`."""
    serving = [
        Listener(
            server.application,
            address,
            clock,
            direct=server.application.direct,
            find_put=server.application.find_put,
            count_refused=server.metrics.connection_refused,
        )
        for address in server.config.listen
    ]
    if server.federation is not None:
        serving.append(
            server.federation.listener(server.presence, server.directory, server.metrics)
        )
    return serving


def _application(
    config: Config,
    clock: Clock,
    background: Background,
    directory: BuiltInDirectory,
    core: Core,
    metrics: Metrics,
    modules: ModuleRuntime,
    admin: Admin,
    transitions: Limiter,
) -> Entry:
    presence, authenticator, places = core.presence, Authenticator(directory), Places()
    names, tokens = PresenceNames(busy=config.presence.busy), Tokens(config.server_name)
    long_poll = LongPoll(directory, presence, Timeouts(clock), background, metrics, places)
    status = PresenceStatus(
        authenticator=authenticator,
        presence=presence,
        names=names,
        limiter=transitions,
        background=background,
        clock=clock,
    )
    events = Events(
        authenticator=authenticator,
        directory=directory,
        presence=presence,
        long_poll=long_poll,
        tokens=tokens,
        clock=clock,
        places=places,
    )
    endpoints = client_endpoints(
        directory=directory,
        server_name=config.server_name,
        registration_open=config.registration == "open",
        client_address=ClientAddress(config.trusted_proxies),
        login_limiter=limiter(config.rate_limits.login, clock),
        registration_limiter=limiter(config.rate_limits.registration, clock),
        fan_out_limiter=limiter(_fan_out(config), clock),
        rooms_limiter=limiter(config.rate_limits.rooms, clock),
        places=places,
        acted=presence.acted,
        unstable_features={"org.matrix.msc3026.busy_presence": config.presence.busy},
        access_log=admin.access_log,
    )
    earlier = HeavyReads(authenticator, places).held(events.routes())
    routes: list[BaseRoute] = [*status.routes(), *earlier, *endpoints]
    routes += [ChangingResources(lambda: modules.web_resources), *_discovery(config, admin)]
    sync = Sync(
        authenticator=authenticator,
        filters=FiltersInUse(directory),
        presence=presence,
        long_poll=long_poll,
        bodies=SyncBodies(tokens, PresenceEncoder(clock), clock),
        names=names,
        tokens=tokens,
        background=background,
        metrics=metrics,
    )
    return Entry(sync=sync, put_status=status.put, routes=build_application(routes))


def _discovery(config: Config, admin: Admin) -> list[Route]:
    """Return what tells people, clients, servers and operators what is here."""
    has_dashboard = config.admin.token_hash is not None
    front = FrontPage(config.server_name, config.public_baseurl, has_dashboard=has_dashboard)
    server = WellKnownServer(config.federation.well_known_server)
    return [*front.routes(), *server.routes(), *admin.routes]


def _fan_out(config: Config) -> Rate | None:
    """Return how fast one user may do what is much work; as fast as they like if all else is."""
    limits = config.rate_limits
    is_off = limits.presence is limits.login is limits.registration is None
    return None if is_off else Rate(per_second=10, burst=50)

"""Wires modules: those that count, those in the shadow, reloading, and the record of what they
decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lamplighter.clock import Clock
from lamplighter.config import Config
from lamplighter.delivery.feed import Feed
from lamplighter.metrics import Metrics
from lamplighter.modules.host import ModuleDirectory, ServerFacts
from lamplighter.modules.loader import ConfiguredModule
from lamplighter.modules.module_set import ModuleSet
from lamplighter.modules.reload import ModuleReload
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.presence.state import Presence
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.recording.files import RecordWriter
from lamplighter.recording.recorder import Recorder
from lamplighter.routing.plan import Planner
from lamplighter.routing.router import ModuleRouter
from lamplighter.service import PresenceService
from lamplighter.service.background import Background
from lamplighter.service.endings import VisibilityEnds
from lamplighter.service.memberships import Memberships
from lamplighter.service.publisher import Publisher
from lamplighter.service.remotes import Remotes
from lamplighter.service.shadow import ShadowModules
from lamplighter.service.swap import ModuleSwap
from lamplighter.service.views import Views
from lamplighter.web.limits import Limiter

__all__ = ["ModuleSources", "Modules", "Surroundings", "begin_recording", "server_facts"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What modules, the record and operators are wired to."""

    tracker: PresenceTracker
    router: ModuleRouter
    planner: Planner
    feed: Feed
    views: Views
    publisher: Publisher
    remotes: Remotes
    memberships: Memberships
    ends: VisibilityEnds
    presence: PresenceService
    #: How fast a device may change its presence, however it does that.
    transitions: Limiter


@dataclass(frozen=True, slots=True)
class ModuleSources:
    """Where modules come from, and where they keep things."""

    #: The modules of a configuration.
    entries: Callable[[Config], Sequence[ConfiguredModule]]
    #: Reads the configuration again; raises `ConfigError`.
    read_config: Callable[[], Config]
    #: The file of the modules' own database; None keeps it in memory.
    database_path: Path | None


@dataclass(frozen=True, slots=True)
class Modules:
    """What loads, asks and replaces modules."""

    runtime: ModuleRuntime
    reload: ModuleReload
    shadows: ShadowModules

    @classmethod
    def begin(
        cls,
        config: Config,
        clock: Clock,
        around: Surroundings,
        background: Background,
        *,
        directory: ModuleDirectory,
        metrics: Metrics,
        sources: ModuleSources,
    ) -> "Modules":
        """Wire them; no module is loaded yet."""
        shadows = ShadowModules(
            server_name=config.server_name,
            clock=clock,
            tracker=around.tracker,
            router=around.router,
            planner=around.planner,
            feed=around.feed,
            views=around.views,
            background=background,
            metrics=metrics,
        )
        around.publisher.observe(shadows.published)
        around.views.observe(shadows.viewed)
        swap = ModuleSwap(
            tracker=around.tracker,
            router=around.router,
            feed=around.feed,
            views=around.views,
            publisher=around.publisher,
            remotes=around.remotes,
            shadows=shadows,
            background=background,
            ends=around.ends,
        )
        make_set = partial(
            ModuleSet,
            server_facts(config),
            exchange=swap,
            host=around.presence,
            directory=directory,
            clock=clock,
            database_path=sources.database_path,
        )
        runtime = ModuleRuntime(swap, make_set)
        reload = ModuleReload(runtime, config, sources.read_config, sources.entries)
        return cls(runtime, reload, shadows)


def server_facts(config: Config) -> ServerFacts:
    """Return what modules may know of the server."""
    base = config.public_baseurl or f"http://{config.listen[0]}/"
    presences = frozenset(Presence)
    if not config.presence.busy:
        presences -= {Presence.BUSY}
    return ServerFacts(config.server_name, base, presences)


def begin_recording(config: Config, clock: Clock, around: Surroundings) -> Recorder | None:
    """Return what records every decision from now on, if that is configured."""
    routing = config.routing
    if routing.record is None:
        return None
    writer = RecordWriter(routing.record, routing.record_size, routing.record_files)
    recorder = Recorder(clock, writer, config.server_name, config.module_timeout)
    around.publisher.observe(recorder.published)
    around.views.observe(recorder.viewed)
    around.memberships.observe(recorder.moved)
    around.presence.observe_leaving(recorder.away)
    around.views.observe_forgetting(recorder.away)
    return recorder

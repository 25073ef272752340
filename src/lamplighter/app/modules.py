"""Wires modules: those that count, those in the shadow, reloading, and the record of what they
decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lamplighter.clock import Clock
from lamplighter.config import Config
from lamplighter.modules.host import ModuleDirectory, ServerFacts
from lamplighter.modules.loader import ConfiguredModule
from lamplighter.modules.module_set import ModuleSet
from lamplighter.modules.reload import ModuleReload
from lamplighter.modules.runtime import ModuleRuntime
from lamplighter.presence.state import Presence
from lamplighter.recording.files import RecordWriter
from lamplighter.recording.recorder import Recorder
from lamplighter.service.core import Core

__all__ = ["ModuleSources", "Modules", "recorder_of", "server_facts"]


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

    @classmethod
    def begin(
        cls,
        config: Config,
        clock: Clock,
        core: Core,
        *,
        directory: ModuleDirectory,
        sources: ModuleSources,
    ) -> "Modules":
        """Wire them; no module is loaded yet."""
        make_set = partial(
            ModuleSet,
            server_facts(config),
            exchange=core.swap,
            host=core.presence,
            directory=directory,
            clock=clock,
            database_path=sources.database_path,
        )
        runtime = ModuleRuntime(core.swap, make_set)
        reload = ModuleReload(runtime, config, sources.read_config, sources.entries)
        return cls(runtime, reload)


def server_facts(config: Config) -> ServerFacts:
    """Return what modules may know of the server."""
    base = config.public_baseurl or f"http://{config.listen[0]}/"
    presences = frozenset(Presence)
    if not config.presence.busy:
        presences -= {Presence.BUSY}
    return ServerFacts(config.server_name, base, presences)


def recorder_of(config: Config, clock: Clock) -> Recorder | None:
    """Return the witness that records every decision, if that is configured."""
    routing = config.routing
    if routing.record is None:
        return None
    writer = RecordWriter(routing.record, routing.record_size, routing.record_files)
    return Recorder(clock, writer, config.server_name, config.module_timeout)

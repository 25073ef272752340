"""Wires modules, their reload, and the record of what they decide."""

from collections.abc import Callable
from functools import partial

from lamplighter.clock import Clock
from lamplighter.config import Config
from lamplighter.modules.host import ONLY_NODE, ModuleNode, ServerFacts
from lamplighter.modules.module_set import ModuleSet
from lamplighter.modules.runtime import ModuleRuntime, ReloadSource
from lamplighter.modules.storage import ModuleDatabases
from lamplighter.ports import ModuleDirectory
from lamplighter.presence.state import Presence
from lamplighter.recording.files import RecordWriter
from lamplighter.recording.recorder import Recorder
from lamplighter.service.core import Core

__all__ = ["module_runtime", "recorder_of", "server_facts"]


def module_runtime(
    clock: Clock,
    core: Core,
    directory: ModuleDirectory,
    source: ReloadSource,
    make_databases: Callable[[], ModuleDatabases],
    node: ModuleNode,
) -> ModuleRuntime:
    """Return what loads and replaces the modules; none is loaded yet."""
    make_set = partial(
        ModuleSet,
        server_facts(source.config, node),
        exchange=core.swap,
        host=core.for_modules,
        directory=directory,
        clock=clock,
        make_databases=make_databases,
    )
    return ModuleRuntime(core.swap, make_set, source)


def server_facts(config: Config, node: ModuleNode = ONLY_NODE) -> ServerFacts:
    """Return what modules may know of the server, and of this node."""
    base = config.public_baseurl or f"http://{config.listen[0]}/"
    presences = frozenset(Presence)
    if not config.presence.busy:
        presences -= {Presence.BUSY}
    return ServerFacts(config.server_name, base, presences, node)


def recorder_of(config: Config, clock: Clock) -> Recorder | None:
    """Return the witness that records every decision, if that is configured."""
    routing = config.routing
    if routing.record is None:
        return None
    writer = RecordWriter(routing.record, routing.record_size, routing.record_files)
    return Recorder(clock, writer, config.server_name, config.module_timeout)

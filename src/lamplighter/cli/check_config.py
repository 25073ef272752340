"""`lamplighter check-config`: whether `serve` would start with a configuration and its modules."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from lamplighter.app import Storage, build
from lamplighter.cli.import_path import import_from_here
from lamplighter.cli.preflight import check_surroundings
from lamplighter.cli.running import find_running_server
from lamplighter.clock import SystemClock
from lamplighter.config import Config, FederationSettings, load_config
from lamplighter.logs import set_up_logs
from lamplighter.modules.loader import ConfiguredModule, LoadedModule
from lamplighter.modules.other_callbacks import kinds_of

__all__ = ["check_config"]


def check_config(path: Path) -> Iterator[str]:
    """Return lines about what is good; raise what `serve` would raise for the first fault.

    Modules are loaded into a server in memory that never starts: their constructors run, their
    background work does not. Raises `ConfigError`, `ModuleError`, and what `check_surroundings`
    raises.
    """
    set_up_logs("critical")  # the lines say what the log would say of modules
    config = load_config(path)
    import_from_here()
    check_surroundings(config)
    loaded, left_out = asyncio.run(_load(config))
    yield f"{path}: good, for {config.server_name} on {', '.join(config.listen)}"
    for module in loaded:
        yield f"{module.entry.where}: {module.entry.path} can be loaded"
        for method in module.api.registered_elsewhere:
            yield f"{module.entry.where}: its callbacks for {kinds_of([method])} stay in Synapse"
    for entry in left_out:
        yield f"{entry.where}: {entry.path} is not of presence: it is skipped, and stays in Synapse"
    running = find_running_server(config.data_dir)
    if running is not None:
        yield f"A server runs with this data_dir, as process {running.pid}: restart it to use this"


async def _load(config: Config) -> tuple[Sequence[LoadedModule], Sequence[ConfiguredModule]]:
    """Build the server that `serve` would build, without side effects."""
    routing = msgspec.structs.replace(config.routing, record=None)
    alone = msgspec.structs.replace(
        config, federation=FederationSettings(), routing=routing, cluster=None
    )
    server = await build(alone, SystemClock(), Storage.in_memory())
    try:
        return server.modules.loaded, server.modules.left_out
    finally:
        await server.stop()

"""A whole server in memory that is a node of a cluster."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lamplighter.config import parse_config_text
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer, ModuleToLoad, module_entry
from tests.cluster.memory_log import LogServer

__all__ = ["running_node"]

_CONFIG = """
server_name: demo
rate_limits: off
database: postgresql://nobody@localhost/nothing
cluster: {node: a, bus: "redis://127.0.0.1:1/0"}
"""


@asynccontextmanager
async def running_node(
    modules: Sequence[ModuleToLoad] = (), *, config: str = "", log_server: LogServer | None = None
) -> AsyncIterator[InMemoryServer]:
    """Run the only node of a cluster until the block ends; it owns everything."""
    log_server = log_server or LogServer(FakeClock())
    clock = log_server.clock
    assert isinstance(clock, FakeClock)
    settings = parse_config_text(_CONFIG + config, Path("memory.yaml"))
    entries = [module_entry(module, index) for index, module in enumerate(modules)]
    server = InMemoryServer(settings, entries, None, clock=clock, log=log_server.log())
    await server.start()
    try:
        await server.advance(seconds=1)
        yield server
    finally:
        await server.stop()

"""`lamplighter serve`: runs a server."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from lamplighter import app
from lamplighter.app import Lamplighter, Storage
from lamplighter.cli.ending import LastResort, run
from lamplighter.cli.huge_pages import keep_moving_to_huge_pages
from lamplighter.cli.import_path import import_from_here
from lamplighter.cli.preflight import check_surroundings
from lamplighter.cli.running import mark_as_running
from lamplighter.clock import SystemClock
from lamplighter.config import Config, load_config
from lamplighter.errors import ClusterRefused, ClusterUnavailable
from lamplighter.logs import set_up_logs
from lamplighter.web.listener import Listener

__all__ = ["serve", "serving", "until_told_to_stop"]

_log = structlog.get_logger(__name__)


#: Work beside a running server; it is cancelled before the server stops.
Companion: TypeAlias = Callable[[Lamplighter, Path], Coroutine[None, None, None]]


def serve(path: Path, *companions: Companion) -> None:
    """Serve the configuration at *path* until SIGTERM or SIGINT; reload modules at SIGHUP."""
    config = load_config(path)
    import_from_here()
    set_up_logs(config.log.level, config.log.format)
    check_surroundings(config)
    run(_serve(config, path, companions))


@asynccontextmanager
async def serving(
    config: Config, storage: Storage, read_config: Callable[[], Config] | None = None
) -> AsyncIterator[Lamplighter]:
    """Serve until the block ends; then answer open requests, save everything, and close.

    *read_config* returns the configuration with the modules of a reload.
    """
    clock = SystemClock()
    with _no_look_for_garbage():
        server = await app.build(config, clock, storage, read_config=read_config)
    listeners: list[Listener] = []
    try:
        listeners += app.listeners(server, clock)
        server.start()
        for listener in listeners:
            await listener.start()
        server.opened()
        _look_for_garbage_rarely()
        yield server
    finally:
        server.answer_polls()
        await asyncio.gather(*(listener.stop() for listener in listeners))
        await server.stop()


@contextmanager
def _no_look_for_garbage() -> Iterator[None]:
    """Disable the garbage collector: the data that a start reads stays, and is no garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _look_for_garbage_rarely() -> None:
    """Exempt lasting data from the garbage collector, and run the collector less often.

    A request leaves hardly any cycles behind. With Python's own thresholds, the collector would
    take a tenth of the time, and walk through every outbox.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def until_told_to_stop() -> None:
    """Return once the process is told to stop: by SIGTERM, or by Ctrl-C."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


async def _serve(config: Config, path: Path, companions: tuple[Companion, ...]) -> None:
    told_to_reload = asyncio.Event()
    # First of all: the signal ends a process that does not handle it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, told_to_reload.set)
    storage = Storage.of(config)
    with mark_as_running(config), LastResort() as last_resort:
        await _serve_marked(config, path, storage, told_to_reload, companions, last_resort)


async def _serve_marked(
    config: Config,
    path: Path,
    storage: Storage,
    told_to_reload: asyncio.Event,
    companions: tuple[Companion, ...],
    last_resort: LastResort,
) -> None:
    async with serving(config, storage, lambda: load_config(path)) as server:
        tasks = [asyncio.ensure_future(it(server, path)) for it in companions]
        tasks.append(asyncio.ensure_future(_reload_when_told(server, told_to_reload)))
        tasks.append(asyncio.ensure_future(keep_moving_to_huge_pages(SystemClock())))
        _log.info("serving", server_name=config.server_name, listen=list(config.listen))
        ended = await _until_stopped(server)
        _log.info("stopping")
        last_resort.begin()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    _log.info("stopped")
    if ended is not None:
        # Another start may help, so this does not exit as for a wrong configuration.
        raise ClusterUnavailable(str(ended)) from ended


async def _until_stopped(server: Lamplighter) -> ClusterRefused | None:
    """Return once the process is told to stop, or with the reason for which a node cannot go on."""
    told, ended = asyncio.ensure_future(until_told_to_stop()), server.node.ended
    either: list[asyncio.Future[Any]] = [told, ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    return ended.result() if ended.done() else None


async def _reload_when_told(server: Lamplighter, told: asyncio.Event) -> None:
    while True:
        await told.wait()
        told.clear()
        await server.reload()

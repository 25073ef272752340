"""100,000 watchers of one presence: `python -m bench.many_watchers`.

The watchers are shared out to as many nodes, and as many processes of this program, as the limit of
descriptors asks for. All run on one machine. Each watcher has a connection and an account of its
own, polls as Element does for somebody who shows no presence, and is in one room with 99 others
and with user 0, whom all watch.

The program prints the memory that each watcher has added to the nodes (Valkey's too), when all are
connected and once all wait again after the last change; and, for each of a few changes, how many
watchers were told, after how long, and the CPU time of the nodes.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Final

import msgspec
import typer
from sqlalchemy import insert, update

from bench.clients import ELEMENT
from bench.errors import BenchError
from bench.http import Address, connect
from bench.machine import raise_descriptor_limit, share_cores
from bench.matrix import put_request
from bench.measuring import Meter
from bench.running import reserved_port
from bench.servers.engines import database_url
from bench.servers.lamplighter import Nodes
from bench.servers.process import ROOT, running
from bench.servers.stored import rows_of, stored_account
from bench.shapes import Shape
from bench.watching import PUBLISHER, READY, TOLD, Part
from lamplighter.clock import SystemClock
from lamplighter.database import tables
from lamplighter.database.adapter import Sharing
from lamplighter.database.postgresql import open_url

__all__ = ["main", "parts_of", "shape_of"]

#: The connections of a process, with room for what else a process opens.
_PER_PROCESS: Final = 14_500
_CHANGES: Final = 5
_IN_A_ROOM: Final = 100
#: Rows that are inserted at a time.
_AT_A_TIME: Final = 5_000


def shape_of(watchers: int) -> Shape:
    """Return rooms of up to 100 watchers each, and of the one whom they watch."""
    everybody = range(1, watchers + 1)
    rooms = tuple(
        (PUBLISHER, *everybody[it : it + _IN_A_ROOM]) for it in range(0, watchers, _IN_A_ROOM)
    )
    return Shape(watchers + 1, rooms, tuple(everybody), (PUBLISHER,))


def parts_of(watchers: int, per_process: int, port: int) -> list[Part]:
    """Share the watchers out to processes, each with a node of its own."""
    count = -(-watchers // per_process)
    bounds = [watchers * it // count for it in range(count + 1)]
    return [
        Part(f"127.0.0.{number}", port, f"127.0.1.{number}", before + 1, last)
        for number, (before, last) in enumerate(pairwise(bounds), 1)
    ]


@dataclass(frozen=True)
class _Process:
    """A process that watches."""

    process: asyncio.subprocess.Process

    async def expect(self, said: str) -> None:
        """Return once the process has said so; raise `BenchError` if it says anything else."""
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        if line != said:
            raise BenchError(f"a process that watches has ended, after {line!r}")

    def tell(self, line: bytes) -> None:
        """Write a line of input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")


async def _measure(watchers: int, per_process: int) -> None:
    shape = shape_of(watchers)
    with TemporaryDirectory(prefix="bench-") as name, reserved_port() as port:
        folder, address = Path(name), Address("127.0.0.1", port)
        async with running(Nodes(1), folder, address, shape):
            await _store(database_url(folder), shape)
        parts = parts_of(watchers, per_process, port)
        async with running(Nodes(len(parts)), folder, address, shape) as pids:
            meter = Meter(pids, share_cores())
            before = meter.resident
            typer.echo(f"{len(parts)} nodes run, with {before / 2**20:.0f} MiB in all")
            async with _watching(parts) as processes:
                typer.echo(
                    f"{watchers} watchers are connected, with {_each(meter, before, watchers)}"
                )
                await _publish(address, processes, meter, watchers)
                typer.echo(f"all wait for news again, with {_each(meter, before, watchers)}")


def _each(meter: Meter, before: int, watchers: int) -> str:
    return f"{(meter.resident - before) / watchers / 1024:.1f} KiB each"


async def _publish(
    address: Address, processes: Sequence[_Process], meter: Meter, watchers: int
) -> None:
    line = await connect(address)
    for change in range(_CHANGES):
        for process in processes:
            process.tell(b"")
        with meter.running_anywhere():
            began = perf_counter()
            await line.ask(put_request(stored_account(PUBLISHER), ELEMENT, str(change)))
            answered = perf_counter() - began
            await asyncio.gather(*(it.expect(TOLD) for it in processes))
            told = perf_counter() - began
        micros = 1e6 * meter.usage.cpu_seconds / watchers
        typer.echo(
            f"change {change}: answered after {answered:.2f} s, all {watchers} told after"
            f" {told:.2f} s, {micros:.0f} µs of CPU each"
        )
    line.abort()


async def _store(url: str, shape: Shape) -> None:
    """Store everybody of *shape*, beside a node that has made the tables."""
    database = open_url(url, sharing=Sharing.BESIDE)
    try:
        async with database.write() as connection:
            for table, rows in rows_of(shape, SystemClock().now()).items():
                for start in range(0, len(rows), _AT_A_TIME):
                    await connection.execute(insert(table), rows[start : start + _AT_A_TIME])
            await connection.execute(update(tables.stream).values(position=1))
    finally:
        await database.close()


@asynccontextmanager
async def _watching(parts: Sequence[Part]) -> AsyncIterator[Sequence[_Process]]:
    """Run a process for each part; give them once all watchers are connected."""
    async with AsyncExitStack() as ending:
        processes = []
        for part in parts:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.watching"),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            ending.callback(_kill, process)
            processes.append(_Process(process))
            processes[-1].tell(msgspec.json.encode(part))
        for it in processes:
            await it.expect(READY)
        yield processes


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it has ended
        process.kill()


def main(
    watchers: Annotated[int, typer.Option(min=1, help="How many watch.")] = 100_000,
    per_process: Annotated[
        int, typer.Option(min=1, help="How many connections a process has.")
    ] = _PER_PROCESS,
) -> None:
    """Let many watchers see one presence, over as many nodes as they need."""
    raise_descriptor_limit()
    try:
        asyncio.run(_measure(watchers, per_process))
    except BenchError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)

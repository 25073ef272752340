"""One run: every preset on every server, each on a server of its own with empty tables."""

import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.http import Address
from bench.machine import share_cores
from bench.measuring import Measurement, Meter, Progress
from bench.party import MatrixWire
from bench.presets import Preset
from bench.servers.process import Recipe, running
from bench.stage import Stage

__all__ = ["Row", "measure", "reserved_port"]


@dataclass(frozen=True)
class Row:
    """A measurement with its preset and its server."""

    server: str
    preset: str
    #: The kind of client of all users; a dash where the protocol is not Matrix.
    client: str
    measurement: Measurement

    @property
    def label(self) -> str:
        """The name of the preset and of the measurement."""
        return f"{self.preset}{self.measurement.suffix}"


async def measure(preset: Preset, recipe: Recipe, progress: Progress) -> list[Row]:
    """Measure *preset* on a new server of that *recipe*. Raises `BenchError`."""
    with TemporaryDirectory(prefix="bench-") as folder, reserved_port() as port:
        address = Address("127.0.0.1", port)
        async with running(recipe, Path(folder), address, preset.load.shape) as pids:
            stage = Stage(
                address, Meter(pids, share_cores()), progress, recipe.wire, recipe.addresses
            )
            with _no_garbage():
                measurements = await preset.load.run(stage)
    client = preset.load.shape.client.name if isinstance(recipe.wire, MatrixWire) else "-"
    return [Row(recipe.name, preset.name, client, it) for it in measurements]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Switch this process's garbage collector off: its pauses would count as latency."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


@contextmanager
def reserved_port() -> Iterator[int]:
    """Give a port on which a server can listen, and hold it against others."""
    with socket.socket() as holder:
        # A server that sets the same two options may bind to the same port.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]

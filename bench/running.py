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

__all__ = ["Row", "measure"]


@dataclass(frozen=True)
class Row:
    """What was measured, of which preset, on which server."""

    server: str
    preset: str
    #: The kind of client that everybody had; a dash where the protocol is not Matrix.
    client: str
    measurement: Measurement

    @property
    def label(self) -> str:
        """The preset, and what of it."""
        return f"{self.preset}{self.measurement.suffix}"


async def measure(preset: Preset, recipe: Recipe, progress: Progress) -> list[Row]:
    """Put the load of *preset* on a new server of that *recipe*. Raises `BenchError`."""
    with TemporaryDirectory(prefix="bench-") as folder, _reserved_port() as port:
        address = Address("127.0.0.1", port)
        async with running(recipe, Path(folder), address, preset.load.shape) as pid:
            stage = Stage(address, Meter(pid, share_cores()), progress, recipe.wire)
            with _no_garbage():
                measurements = await preset.load.run(stage)
    client = preset.load.shape.client.name if isinstance(recipe.wire, MatrixWire) else "-"
    return [Row(recipe.name, preset.name, client, it) for it in measurements]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector of this process away: its pauses would look like the server's."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


@contextmanager
def _reserved_port() -> Iterator[int]:
    """Give a port on which a server can listen, and which nobody else is given meanwhile."""
    with socket.socket() as holder:
        # Whoever sets the same two options may bind there too, as the servers do.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]

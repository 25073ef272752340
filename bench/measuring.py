"""The measurements of a load, and the meter that takes them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from bench.machine import Cores
from bench.processes import cpu_seconds, resident_bytes

__all__ = ["Latency", "Measurement", "Meter", "Progress", "Silent", "Usage", "percentile"]


@dataclass(frozen=True)
class Latency:
    """Percentiles of a duration, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency | None":
        """Return the percentiles of *seconds*; None if there are none."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        return cls(*(1000 * percentile(ordered, share) for share in (0.50, 0.95, 0.99)))


@dataclass(frozen=True)
class Usage:
    """The CPU time and memory of a server during a measurement."""

    #: User and system time of each process with its children.
    cpu_by_process: Mapping[str, float]
    seconds: float
    #: Memory in RAM at the end.
    resident: int

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of the whole server."""
        return sum(self.cpu_by_process.values())


@dataclass(frozen=True)
class Measurement:
    """One row of the table, for one server."""

    #: The name of this measurement, where the preset takes several.
    suffix: str
    #: The unit: a delivery, a PUT, a first sync.
    unit: str
    count: int
    usage: Usage
    latency: Latency | None = None
    #: How many long polls were connected, and the memory that each has added, in bytes.
    polls: int = 0
    poll_bytes: float | None = None

    @property
    def cpu_micros(self) -> float:
        """The main figure: CPU time per unit, in microseconds."""
        return sum(self.micros_by_process.values())

    @property
    def micros_by_process(self) -> Mapping[str, float]:
        """CPU time per unit of each process, in microseconds."""
        return {
            name: 1e6 * seconds / self.count for name, seconds in self.usage.cpu_by_process.items()
        }


class Progress(Protocol):
    """Receives the progress of a run."""

    def step(self, what: str, total: int) -> Callable[[], None]:
        """Begin a step of *parts* parts; return the function to call after each part."""


class Silent:
    """Progress that nobody looks at."""

    def step(self, _what: str, _total: int) -> Callable[[], None]:
        return lambda: None


@dataclass
class Meter:
    """Measures one server, whose processes have names."""

    pids: Mapping[str, int]
    cores: Cores
    _used: Usage | None = field(default=None, init=False)

    @property
    def resident(self) -> int:
        """The memory that the server has in RAM, in bytes."""
        return sum(map(resident_bytes, self.pids.values()))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the block, with the server on its own core."""
        self.cores.part(self.pids.values())
        try:
            with self.running_anywhere():
                yield
        finally:
            self.cores.mingle(self.pids.values())

    @contextmanager
    def running_anywhere(self) -> Iterator[None]:
        """Measure the block, with the server on all cores."""
        before, began = self._cpu(), perf_counter()
        yield
        used = {name: seconds - before[name] for name, seconds in self._cpu().items()}
        self._used = Usage(used, perf_counter() - began, self.resident)

    @property
    def usage(self) -> Usage:
        """The usage of the block that was measured last."""
        assert self._used is not None, "nothing was measured"
        return self._used

    @property
    def usage_since_start(self) -> Usage:
        """The CPU time that the server has taken since its processes were started."""
        return Usage(self._cpu(), 0.0, self.resident)

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the *ordered* values that *share* of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

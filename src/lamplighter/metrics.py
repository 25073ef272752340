"""What the server counts: every metric's name stands here.

A `Metrics` has a registry of its own, so that two servers in one process count apart. Its
methods are named after what has happened.
"""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "Metrics"]

#: The media type of `Metrics.exposition`.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_MODULE: Final = ("module", "callback")
_SECONDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class _Polls(Collector):
    """Reads the numbers of answered syncs and of polls that wait, when somebody asks."""

    def __init__(self, read: Callable[[], tuple[int, int]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        syncs, polls = self._read()
        yield CounterMetricFamily("lamplighter_syncs", "Answered /sync requests", syncs)
        yield GaugeMetricFamily("lamplighter_polls_in_flight", "Polls that wait", polls)


class Metrics:
    """Counters of one running server, for Prometheus to read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._changes = self._counter("changes", "Announced presence changes", ["reason"])
        self._updates = self._counter("delivered_updates", "Updates handed to watchers' syncs")
        # With every poll: plain numbers, which cost a tenth of a counter with its lock.
        self._syncs = 0
        self._polls = 0
        self._registry.register(_Polls(lambda: (self._syncs, self._polls)))
        self._module_seconds = Histogram(
            "lamplighter_module_seconds",
            "Time that modules' callbacks took to answer",
            _MODULE,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._module_failures = self._counter(
            "module_failures", "Answers of modules that were lost", [*_MODULE, "kind"]
        )
        self._breaker = Gauge(
            "lamplighter_module_paused",
            "1 while a module is paused after failures",
            ["module"],
            registry=self._registry,
        )
        self._shadow_differences = self._counter(
            "shadow_differences",
            "What viewers would see otherwise if a shadow module counted",
            ["module", "kind"],
        )
        self._shadow_undone = self._counter(
            "shadow_left_undone", "What shadow modules wanted to do", ["module", "call"]
        )
        self._commits = Histogram(
            "lamplighter_commit_states",
            "Presence states in one commit",
            buckets=_SIZES,
            registry=self._registry,
        )

    def announced(self, reason: str) -> None:
        """A change was announced."""
        self._changes.labels(reason).inc()

    def delivered(self, updates: int) -> None:
        """A watcher's sync was given *updates* presence updates."""
        self._updates.inc(updates)

    def sync_answered(self) -> None:
        """A `/sync` was answered, with or without news."""
        self._syncs += 1

    def poll_began(self) -> None:
        """A `/sync` waits for news."""
        self._polls += 1

    def poll_ended(self) -> None:
        """A `/sync` waits no longer."""
        self._polls -= 1

    def module_answered(self, module: str, callback: str, seconds: float) -> None:
        """A module's callback answered, rightly or wrongly, after *seconds*."""
        self._module_seconds.labels(module, callback).observe(seconds)

    def module_failed(self, module: str, callback: str, kind: str) -> None:
        """A module's answer, or an entry of it, was lost; *kind* says how."""
        self._module_failures.labels(module, callback, kind).inc()

    def breaker(self, module: str, open: bool) -> None:
        """A module was paused (*open*) or is asked again."""
        self._breaker.labels(module).set(int(open))

    def shadow_differs(self, module: str, kind: str) -> None:
        """A viewer would see a user otherwise, if a shadow module counted; *kind* says how."""
        self._shadow_differences.labels(module, kind).inc()

    def shadow_left_undone(self, module: str, call: str) -> None:
        """A shadow module has called for something that would change the server."""
        self._shadow_undone.labels(module, call).inc()

    def committed(self, states: int) -> None:
        """One commit made *states* presence states durable."""
        self._commits.observe(states)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format, of the type `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"lamplighter_{name}", text, labels or [], registry=self._registry)

"""The metrics of a server. The name of each metric is in this module.

Each `Metrics` has its own registry, so two servers in one process do not share counters. A method
of `Metrics` is named after the event that it counts.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from lamplighter import __version__

__all__ = ["CONTENT_TYPE", "ClusterReadings", "Counts", "Metrics", "Readings"]

#: The media type of `Metrics.exposition`.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_MODULE: Final = ("module", "callback")
_LOGINS: Final = ("succeeded", "refused", "limited")
_SECONDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Counts:
    """The counters that change with every poll or batch."""

    #: Presence updates given to watchers since the start.
    delivered: int
    #: `/sync` requests answered since the start.
    syncs: int
    #: Announced presence changes since the start, by reason.
    changes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ClusterReadings:
    """The values of `Readings` that only a node of a cluster has."""

    #: Living nodes, as of this node's last renewal.
    nodes: int
    #: Partitions that this node owns, and partitions that no living node owns.
    partitions: int
    unowned: int
    #: How far this node is behind the log.
    lag_seconds: float
    #: 1 while this node has a lease, else 0.
    leases: int
    #: Since the start: leases lost, records that this node told, and records of all nodes it read.
    leases_lost: int
    records_told: int
    records_read: int
    #: Events said to other nodes since the start, and events that wait for their owners' answers.
    events_said: int
    events_waiting: int


@dataclass(frozen=True, slots=True)
class Readings:
    """Values that are not counted as events happen, but read when somebody asks for the metrics."""

    #: The number of known users with each presence.
    users: Mapping[str, int]
    outboxes: int
    polls: int
    #: When the newest batch in the stream of changes was published, in seconds since the epoch.
    stream_seconds: float
    #: The number of other servers in each condition: ready, backing_off.
    destinations: Mapping[str, int]
    #: States that wait to be sent to other servers.
    queued: int
    #: Reads and writes of the database that have failed since the start.
    storage_failures: int
    #: 1 while something is wrong between this server and the homeserver behind it, else 0.
    homeserver_problems: int
    #: None where this server is alone.
    cluster: ClusterReadings | None = None


class _Read(Collector):
    """Makes metrics when somebody asks for them."""

    def __init__(self, make: Callable[[], Iterator[Metric]]) -> None:
        self._make = make

    def collect(self) -> Iterator[Metric]:
        return self._make()


def _of_counts(now: Counts) -> Iterator[Metric]:
    yield _count("delivered_updates", "Updates handed to watchers' syncs", now.delivered)
    yield _count("syncs", "Answered /sync requests", now.syncs)
    changes = "Announced presence changes"
    yield _by(now.changes, "changes", changes, "reason", family=CounterMetricFamily)


def _of_readings(now: Readings) -> Iterator[Metric]:
    yield _by(now.users, "presence_users", "Known users by their presence", "presence")
    yield _gauge("outboxes", "Viewers who have an outbox", now.outboxes)
    yield _gauge("polls_in_flight", "Polls that wait", now.polls)
    published = "When the newest batch of changes was published"
    yield _gauge("stream_timestamp_seconds", published, now.stream_seconds)
    yield _by(now.destinations, "destinations", "Other servers, by condition", "state")
    waiting = "Presence states that wait to be sent to other servers"
    yield _gauge("federation_queue_states", waiting, now.queued)
    failed = "Reads and writes of the database that failed"
    yield _count("storage_failures", failed, now.storage_failures)
    wrong = "1 while the homeserver behind this server is not set up for it"
    yield _gauge("homeserver_problem", wrong, now.homeserver_problems)
    if now.cluster is not None:
        yield from _of_cluster(now.cluster)


def _of_cluster(now: ClusterReadings) -> Iterator[Metric]:
    yield _gauge("cluster_nodes", "Living nodes of the cluster", now.nodes)
    yield _gauge("cluster_partitions", "Partitions that this node owns", now.partitions)
    yield _gauge("cluster_unowned_partitions", "Partitions that no node owns", now.unowned)
    yield _gauge("cluster_lag_seconds", "How far this node is behind the log", now.lag_seconds)
    yield _gauge("cluster_lease", "1 while this node has a lease", now.leases)
    yield _count("cluster_leases_lost", "Leases that this node has lost", now.leases_lost)
    yield _count("cluster_records_told", "Records that this node has told", now.records_told)
    yield _count("cluster_records_read", "Records of the log, of all nodes", now.records_read)
    yield _count("cluster_events_said", "Events said to other nodes", now.events_said)
    waiting = "Events that wait for the answers of their owners"
    yield _gauge("cluster_events_waiting", waiting, now.events_waiting)


def _count(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"lamplighter_{name}", text, value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"lamplighter_{name}", text, value)


def _by(
    numbers: Mapping[str, int],
    name: str,
    text: str,
    label: str,
    family: type[CounterMetricFamily | GaugeMetricFamily] = GaugeMetricFamily,
) -> Metric:
    metric = family(f"lamplighter_{name}", text, labels=[label])
    for value, number in numbers.items():
        metric.add_metric([value], number)
    return metric


class Metrics:
    """The metrics of one running server, for Prometheus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        # A plain number costs a tenth of a Counter, which has a lock.
        self._changes: dict[str, int] = {}
        self._delivered = 0
        #: The answers to `/sync`, with or without changes. Whoever answers counts, without a call.
        self.syncs = 0
        self._registry.register(_Read(lambda: _of_counts(self.counts)))
        build = Info("lamplighter_build", "What runs here", registry=self._registry)
        build.info({"version": __version__, "python": platform.python_version()})
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
            "What viewers would see differently if a shadow module's answers counted",
            ["module", "kind"],
        )
        self._shadow_undone = self._counter(
            "shadow_left_undone", "Calls of shadow modules that had no effect", ["module", "call"]
        )
        self._refused = self._counter("connections_refused", "Connections without a descriptor", [])
        self._logins = self._counter("logins", "Attempts to log in", ["outcome"])
        for outcome in _LOGINS:
            self._logins.labels(outcome)
        self._commits = Histogram(
            "lamplighter_commit_states",
            "Presence states in one commit",
            buckets=_SIZES,
            registry=self._registry,
        )

    def announced(self, reason: str) -> None:
        """A change was announced."""
        self._changes[reason] = self._changes.get(reason, 0) + 1

    def delivered(self, updates: int) -> None:
        """A watcher's `/sync` received *updates* presence updates."""
        self._delivered += updates

    def module_answered(self, module: str, callback: str, seconds: float) -> None:
        """A module's callback returned a valid or an invalid answer after *seconds*."""
        self._module_seconds.labels(module, callback).observe(seconds)

    def module_failed(self, module: str, callback: str, kind: str) -> None:
        """An answer of a module, or an entry of it, was lost; *kind* is the kind of failure."""
        self._module_failures.labels(module, callback, kind).inc()

    def breaker(self, module: str, open: bool) -> None:
        """A module was paused (*open* is true), or will be asked again (*open* is false)."""
        self._breaker.labels(module).set(int(open))

    def shadow_differs(self, module: str, kind: str) -> None:
        """A viewer would see something else if a shadow module's answers counted."""
        self._shadow_differences.labels(module, kind).inc()

    def shadow_left_undone(self, module: str, call: str) -> None:
        """A shadow module made a call that would change the server; the call had no effect."""
        self._shadow_undone.labels(module, call).inc()

    def login(self, outcome: str) -> None:
        """A log-in succeeded, was refused, or was limited (the password was not checked)."""
        self._logins.labels(outcome).inc()

    def connection_refused(self) -> None:
        """A connection was closed at once because no descriptors are left."""
        self._refused.inc()

    def committed(self, states: int) -> None:
        """One commit made *states* presence states durable."""
        self._commits.observe(states)

    @property
    def counts(self) -> Counts:
        """The present values of these counters."""
        return Counts(self._delivered, self.syncs, dict(self._changes))

    def read(self, take: Callable[[], Readings]) -> None:
        """Add the readings that *take* returns to each exposition."""
        self._registry.register(_Read(lambda: _of_readings(take())))

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format, whose media type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"lamplighter_{name}", text, labels or [], registry=self._registry)

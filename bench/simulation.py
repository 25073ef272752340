"""A simulation of a server of many nodes, in discrete events: who works when, and for how long.

Each node is one process, and works in cycles, as an event loop does: it takes all that has come,
does it, and takes what has come meanwhile. So a busy node reads many records at once, and appends
what it has decided in one cycle as one record. Valkey is one more process. Each has a core of its
own, or all nodes share one, as where they are measured.

    a client PUTs at a node -> the user's owner decides -> appends a record -> every node reads it,
    and delivers to those of the watchers who are connected to it

Nothing is random but by the seed: the same numbers give the same result.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random  # noqa: TID251 - seeded: the same run each time
from typing import Final

__all__ = ["Costs", "Load", "Outcome", "simulate"]

_MICRO: Final = 1e-6
#: A core that has paused for so long has cold caches, in seconds.
_PAUSE: Final = 0.005


@dataclass(frozen=True)
class Costs:
    """CPU time in microseconds."""

    #: An update for one viewer, with the poll that follows.
    delivery: float
    #: The first work after a pause, or after another process on that core: caches are cold.
    cold: float
    #: A change that a node reads, applies and plans.
    change_read: float
    #: One read of the log with records, and one append to it.
    read: float
    append: float
    #: A PUT that its owner takes from the client, decides, and saves.
    owned_change: float
    #: What a PUT costs both nodes in addition if the client came to another one.
    said: float
    #: A node without anything to do, in each second: it renews its lease, and sees timers pass.
    idle: float
    #: Valkey: an append, a read with records, a message from one node to another.
    bus_append: float
    bus_read: float
    bus_message: float
    #: Valkey in each second: for each node, and without any.
    bus_node: float
    bus_idle: float


@dataclass(frozen=True)
class Load:
    """What clients do."""

    #: How many connected users see a change of one.
    watchers: int
    #: How many changes there are in all.
    changes: int
    #: Changes in each second, at random; None if the next ones come when all are told of the last.
    per_second: float | None = None
    #: Whether the time between them is always the same.
    is_steady: bool = False
    #: How many change at once.
    together: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a simulation has found. Times are in seconds."""

    seconds: float
    deliveries: int
    #: CPU time of each node, and of Valkey.
    nodes: Sequence[float]
    bus: float
    #: From the PUT to the end of the cycle that delivers: 50 and 99 of 100 are not later.
    p50: float
    p99: float
    #: From the append of a record until a node begins to read it, at most.
    lag: float

    @property
    def micros_per_delivery(self) -> float:
        """The CPU time of all nodes for one delivery, in microseconds."""
        return sum(self.nodes) / self.deliveries / _MICRO


@dataclass(slots=True)
class _Change:
    """One change, and how many watchers each node has for it."""

    came: float
    owner: int
    watchers: Sequence[int]
    appended: float = 0.0


@dataclass(slots=True)
class _Node:
    """A process, and what waits for it."""

    free_at: float = 0.0
    used: float = 0.0
    is_awake: bool = False
    #: PUTs of clients whose users others own; those that this node decides; records to read.
    passing: list[_Change] = field(default_factory=list)
    deciding: list[_Change] = field(default_factory=list)
    reading: list[_Change] = field(default_factory=list)


class _Run:
    """One simulation."""

    def __init__(
        self, nodes: int, costs: Costs, load: Load, random: Random, shares_core: bool
    ) -> None:
        self._shares_core = shares_core
        self._core_free_at, self._last = 0.0, -1
        self._costs, self._load, self._random = costs, load, random
        self._nodes = [_Node() for _ in range(nodes)]
        self._bus_free_at = self._bus_used = 0.0
        self._sources = self._changes()
        self._count = 0
        self._untold = 0
        #: What happens when; of two at one time, the one that was known first.
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        #: By how late they were: how many deliveries.
        self._delays: list[tuple[float, int]] = []
        self._lag = self._now = 0.0

    def run(self) -> Outcome:
        """Go through all events."""
        self._at(0.0, self._come)
        while self._events:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        seconds = max(self._now, *(it.free_at for it in self._nodes))
        idle = self._costs.idle * _MICRO * seconds
        bus_idle = self._costs.bus_idle + self._costs.bus_node * len(self._nodes)
        return Outcome(
            seconds,
            sum(count for _, count in self._delays),
            [it.used + idle for it in self._nodes],
            self._bus_used + bus_idle * _MICRO * seconds,
            _share(self._delays, 0.50),
            _share(self._delays, 0.99),
            self._lag,
        )

    def _changes(self) -> Iterator[_Change]:
        count = len(self._nodes)
        for _ in range(self._load.changes):
            watchers = [0] * count
            for node in self._random.choices(range(count), k=self._load.watchers):
                watchers[node] += 1
            yield _Change(0.0, self._random.randrange(count), watchers)

    def _come(self) -> None:
        """Let clients PUT, each at some node."""
        for _ in range(self._load.together):
            change = next(self._sources, None)
            if change is None:
                return
            change.came = self._now
            self._untold += len(self._nodes)
            edge = self._random.randrange(len(self._nodes))
            node = self._nodes[edge]
            (node.deciding if edge == change.owner else node.passing).append(change)
            self._wake(edge)
        if self._load.per_second is not None:
            rate = self._load.per_second / self._load.together
            pause = 1 / rate if self._load.is_steady else self._random.expovariate(rate)
            self._at(self._now + pause, self._come)

    def _cycle(self, number: int) -> None:
        """Let a node do all that has come."""
        if self._shares_core and self._now < self._core_free_at:
            self._at(self._core_free_at, partial(self._cycle, number))
            return
        node, costs, is_cold = self._nodes[number], self._costs, self._is_cold(number)
        node.is_awake = False
        passing, node.passing = node.passing, []
        deciding, node.deciding = node.deciding, []
        reading, node.reading = node.reading, []
        begins = costs.cold if is_cold else 0.0
        at = self._now + (begins + costs.read * bool(reading)) * _MICRO
        for change in reading:
            self._lag = max(self._lag, self._now - change.appended)
            at += (costs.change_read + costs.delivery * change.watchers[number]) * _MICRO
            self._told(change, at, change.watchers[number])
        for change in passing:
            # What the answer will cost is done here, too: that is early, and no less.
            at += costs.said * _MICRO
            there = self._carried(at, costs.bus_message * 2)
            self._at(there, partial(self._said, change))
        if deciding:
            at += (costs.append + costs.owned_change * len(deciding)) * _MICRO
            self._append(deciding, at)
        node.used += at - self._now
        node.free_at = self._core_free_at = at

    def _is_cold(self, number: int) -> bool:
        """Tell whether the node's core has paused, or has done something else."""
        last, self._last = self._last, number
        if self._shares_core and last != number:
            return True
        return self._now - self._nodes[number].free_at > _PAUSE

    def _said(self, change: _Change) -> None:
        """Let the owner hear of a change."""
        self._nodes[change.owner].deciding.append(change)
        self._wake(change.owner)

    def _append(self, changes: Sequence[_Change], at: float) -> None:
        """Let Valkey have a record, and every node read it."""
        there = self._carried(at, self._costs.bus_append)
        self._at(there, partial(self._appended, changes))

    def _appended(self, changes: Sequence[_Change]) -> None:
        for change in changes:
            change.appended = self._now
        for number, node in enumerate(self._nodes):
            if not node.reading:
                self._carried(self._now, self._costs.bus_read)
            node.reading.extend(changes)
            self._wake(number)

    def _carried(self, at: float, cost: float) -> float:
        """Return when Valkey has done what came to it *at* that time."""
        begins = max(at, self._bus_free_at)
        self._bus_free_at = begins + cost * _MICRO
        self._bus_used += cost * _MICRO
        return self._bus_free_at

    def _told(self, change: _Change, at: float, watchers: int) -> None:
        if watchers:
            self._delays.append((at - change.came, watchers))
        self._untold -= 1
        if not self._untold and self._load.per_second is None:
            self._at(at, self._come)

    def _wake(self, number: int) -> None:
        """Let a node begin a cycle as soon as it has ended the last one."""
        node = self._nodes[number]
        if not node.is_awake:
            node.is_awake = True
            self._at(max(self._now, node.free_at), partial(self._cycle, number))

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, happen))


def simulate(
    nodes: int, costs: Costs, load: Load, seed: int, *, shares_core: bool = False
) -> Outcome:
    """Return what *load* does to a server of so many *nodes*, which may share one core."""
    return _Run(nodes, costs, load, Random(seed), shares_core).run()


def _share(delays: Sequence[tuple[float, int]], share: float) -> float:
    """Return the smallest delay that *share* of all deliveries do not exceed."""
    left = share * sum(count for _, count in delays)
    for delay, count in sorted(delays):
        left -= count
        if left <= 0:
            return delay
    return 0.0

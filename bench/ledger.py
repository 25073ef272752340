"""The ledger of changes: the load enters each change that it sends, and each update that arrives.

Each change is a new status message of a publisher: a number that no other change has. A server may
skip a change that a newer one of the same publisher has overtaken. The last change must arrive.
"""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from time import perf_counter

from bench.errors import BenchError, Undelivered

__all__ = ["Ledger"]


class Ledger:
    """Counts, for each (watcher, publisher) pair, what has arrived."""

    def __init__(self, audiences: Sequence[AbstractSet[int]]) -> None:
        """Expect what user `n` publishes to reach the watchers `audiences[n]`."""
        self.audiences = audiences
        #: How many updates have been received.
        self.delivered = 0
        #: From the request being sent to the update being received, in seconds.
        self.latencies: list[float] = []
        self._sent_at: list[float] = []
        #: By publisher: the number of the last change, and the watchers who have received it.
        self._last: dict[int, tuple[int, set[int]]] = {}
        #: How many pairs wait for a last change.
        self._open = 0
        self._failure: BenchError | None = None
        self._settled: asyncio.Future[None] | None = None

    def publish(self, publisher: int) -> int:
        """Enter a change that the caller sends at once; return its number."""
        if publisher in self._last:
            self._open -= len(self.audiences[publisher]) - len(self._last[publisher][1])
        change = len(self._sent_at)
        self._last[publisher] = change, set()
        self._open += len(self.audiences[publisher])
        self._sent_at.append(perf_counter())
        return change

    def receive(self, watcher: int, publisher: int, change: int) -> None:
        """Enter that *watcher* has received a change.

        The ledger counts no last change twice, and nobody's own changes.
        """
        last, reached = self._last[publisher]
        if watcher not in self.audiences[publisher] or watcher in reached:
            return
        self.delivered += 1
        self.latencies.append(perf_counter() - self._sent_at[change])
        if change == last:
            reached.add(watcher)
            self._open -= 1
            if not self._open:
                self._wake()

    def fail(self, problem: BenchError) -> None:
        """End `settled` with *problem*: no more updates will come."""
        self._failure = self._failure or problem
        self._wake()

    def start_anew(self) -> None:
        """Begin to count anew. Changes that were sent stay entered."""
        self.delivered = 0
        self.latencies = []

    async def settled(self, timeout: float) -> None:
        """Return once every pair has its last change.

        Raises `Undelivered` if that takes more than *timeout* seconds, and the
        problem that `fail` was called with.
        """
        while self._open and self._failure is None:
            self._settled = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._settled, timeout)
            except TimeoutError:
                raise Undelivered(
                    [
                        (f"watcher {watcher}", f"publisher {publisher}")
                        for publisher, (_, reached) in self._last.items()
                        for watcher in sorted(self.audiences[publisher] - reached)
                    ]
                ) from None
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

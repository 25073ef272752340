"""Who has received which word of whom: what is sent and what arrives is entered here.

A change is a *word*: a publisher's new status message, which is a number that no other change
has. Servers may skip words that newer ones have overtaken; the last one must arrive.
"""

import asyncio
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from time import perf_counter

from bench.errors import BenchError, Undelivered

__all__ = ["Ledger"]


class Ledger:
    """The book of (watcher, publisher) pairs."""

    def __init__(self, audiences: Sequence[AbstractSet[int]]) -> None:
        """Expect what user `n` publishes to reach the watchers `audiences[n]`."""
        self.audiences = audiences
        #: How many updates have been received.
        self.delivered = 0
        #: From the request being sent to the update being received, in seconds.
        self.latencies: list[float] = []
        self._sent_at: list[float] = []
        #: By publisher: the last word, and who has received it.
        self._last: dict[int, tuple[int, set[int]]] = {}
        #: How many pairs wait for a last word.
        self._open = 0
        self._failure: BenchError | None = None
        self._settled: asyncio.Future[None] | None = None

    def publish(self, publisher: int) -> int:
        """Enter a change; return its word, which is to be sent at once."""
        if publisher in self._last:
            self._open -= len(self.audiences[publisher]) - len(self._last[publisher][1])
        word = len(self._sent_at)
        self._last[publisher] = word, set()
        self._open += len(self.audiences[publisher])
        self._sent_at.append(perf_counter())
        return word

    def receive(self, watcher: int, publisher: int, word: int) -> None:
        """Enter that an update has been received.

        Nothing is counted that comes a second time with the last word, or uninvited, as one's
        own updates do.
        """
        last, reached = self._last[publisher]
        if watcher not in self.audiences[publisher] or watcher in reached:
            return
        self.delivered += 1
        self.latencies.append(perf_counter() - self._sent_at[word])
        if word == last:
            reached.add(watcher)
            self._open -= 1
            if not self._open:
                self._wake()

    def fail(self, problem: BenchError) -> None:
        """Let whoever waits for updates know that none will come."""
        self._failure = self._failure or problem
        self._wake()

    def start_anew(self) -> None:
        """Forget what was counted, not what was sent."""
        self.delivered = 0
        self.latencies = []

    async def settled(self, patience: float) -> None:
        """Return once every pair has its last word.

        Raises `Undelivered` if that takes more than *patience* seconds, and what `fail` was
        called with.
        """
        while self._open and self._failure is None:
            self._settled = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._settled, patience)
            except TimeoutError:
                raise Undelivered([_named(*pair) for pair in self._missing()]) from None
        if self._failure is not None:
            raise self._failure

    def _missing(self) -> Iterator[tuple[int, int]]:
        for publisher, (_, reached) in self._last.items():
            for watcher in sorted(set(self.audiences[publisher]) - reached):
                yield watcher, publisher

    def _wake(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)


def _named(watcher: int, publisher: int) -> tuple[str, str]:
    return f"watcher {watcher}", f"publisher {publisher}"

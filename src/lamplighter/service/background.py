"""Work that no request waits for: done once, or periodically, until the server stops."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import timedelta

import structlog

from lamplighter.clock import Clock, Timer, after

__all__ = ["Background", "Burst", "InTurn"]

_log = structlog.get_logger(__name__)


class Background:
    """Holds tasks and timers, so that none is lost and none outlives the server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: list[Timer] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Begin *work*, and return what may be cancelled; should it fail, the log says so."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_failure)
        return task

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return bool(self._tasks)

    def every(self, period: timedelta, work: Callable[[], None]) -> None:
        """Call *work* once each *period*, for the first time when one has passed."""

        def again() -> None:
            self._timers.remove(timer)
            self.every(period, work)  # first: a failure is not to be the end of it
            work()

        timer = self._clock.call_at(after(self._clock.now(), period), again)
        self._timers.append(timer)

    def stop(self) -> None:
        """Begin nothing any more, and end what is under way."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()


class InTurn:
    """Work of one kind, of which so much is done at a time, in the order in which it came.

    What waits is a function: a task that waits, with its coroutines, takes many kilobytes.
    """

    def __init__(self, background: Background, most: int) -> None:
        """Do at most that much at a time, as tasks of *background*."""
        self._background = background
        self._most = most
        self._running = 0
        self._waiting: deque[Callable[[], Coroutine[None, None, None]]] = deque()

    def run(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do *work*, which does not raise, when its turn comes."""
        self._waiting.append(work)
        if self._running < self._most:
            self._running += 1
            self._background.run(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft()()
        finally:
            self._running -= 1


class Burst:
    """Work that comes in one cycle of the event loop, and is spread over the next ones.

    Example, with at most 10,000: of 50 joins that come at once, with 2,000 users to tell each, five
    are told of now, five in the next cycle, and so on.
    """

    def __init__(self, most: int) -> None:
        """Do so much in one cycle."""
        self._most = most
        self._come = 0

    def cycles(self, amount: int) -> int:
        """Return in how many cycles from now so much more is to be done: 0 is this one."""
        if self._come == 0:
            asyncio.get_running_loop().call_soon(self._end)
        self._come += amount
        return max(0, self._come - 1) // self._most

    def _end(self) -> None:
        self._come = 0


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (failure := task.exception()) is not None:
        _log.error("background work failed", exc_info=failure)

"""Time enters here, and only here.

Pure code takes `now: Timestamp` as an argument; what must wait takes a `Clock`.
The real one is below; the one that tests turn by hand is `devtools/clock.py`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NewType, Protocol, TypeVar

__all__ = [
    "Clock",
    "SystemClock",
    "Timer",
    "Timestamp",
    "after",
    "cpu_time",
    "milliseconds",
    "next_turn",
    "sleep",
    "within",
]

T = TypeVar("T")

_MILLISECOND: Final = timedelta(milliseconds=1)

#: How often the wall clock is looked at.
_COMPARED_EVERY_NS: Final = 1_000_000_000
#: The part of the time that passes by which the clock may go faster or slower.
_SLEWS_BY: Final = 20

#: What counts a machine's sleep, too, where there is such a clock.
_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)

#: An instant: milliseconds since the epoch.
Timestamp = NewType("Timestamp", int)


class Timer(Protocol):
    """Something that will be called later, unless it is cancelled."""

    def cancel(self) -> None:
        """Make sure that it is not called; harmless when it was."""


class Clock(Protocol):
    """What tells the time and wakes people up."""

    def now(self) -> Timestamp:
        """Return the current instant."""

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        """Call *callback* in the event loop once *when* has come; at once if it is past."""


def _steady_ns() -> int:
    """Return what no one sets: the time since the machine was started, its sleep included."""
    return time.monotonic_ns() if _BOOTTIME is None else time.clock_gettime_ns(_BOOTTIME)


class SystemClock:
    """The machine's time as it passes, on the running event loop.

    It begins with the wall clock and goes by a steady one. If the wall clock is set, this clock
    goes after it at most a twentieth faster or slower: no time-out is rushed or delayed by more
    than that, and instants never go back.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = _steady_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._compared_ns = steady_ns()
        #: What must be added to the steady clock.
        self._offset_ns = wall_ns() - self._compared_ns
        self._latest = Timestamp(0)

    def now(self) -> Timestamp:
        steady_ns = self._steady_ns()
        if steady_ns - self._compared_ns >= _COMPARED_EVERY_NS:
            self._compare(steady_ns)
        instant = Timestamp((steady_ns + self._offset_ns) // 1_000_000)
        if instant > self._latest:
            self._latest = instant
        return self._latest

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        delay = max(0, when - self.now()) / 1000
        return asyncio.get_running_loop().call_later(delay, callback)

    def _compare(self, steady_ns: int) -> None:
        """Go after the wall clock by as much as may be since the last time."""
        most = (steady_ns - self._compared_ns) // _SLEWS_BY
        self._compared_ns = steady_ns
        missing = self._wall_ns() - (steady_ns + self._offset_ns)
        self._offset_ns += max(-most, min(most, missing))


def cpu_time() -> int:
    """Return how long this thread has computed, in nanoseconds: whoever waits uses none."""
    return time.thread_time_ns()


def milliseconds(duration: timedelta) -> int:
    """Return *duration* in whole milliseconds."""
    return duration // _MILLISECOND


def after(now: Timestamp, duration: timedelta) -> Timestamp:
    """Return the instant that comes *duration* after *now*."""
    return Timestamp(now + milliseconds(duration))


async def next_turn() -> None:
    """Return in the next turn of the event loop: what else is ready goes first."""
    loop = asyncio.get_running_loop()
    turned: asyncio.Future[None] = loop.create_future()
    loop.call_soon(_finish, turned)
    await turned


async def sleep(clock: Clock, duration: timedelta) -> None:
    """Return once *duration* has passed on *clock*."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(after(clock.now(), duration), lambda: _finish(done))
    try:
        await done
    finally:
        timer.cancel()


async def within(clock: Clock, limit: timedelta, work: Awaitable[T]) -> T:
    """Return what *work* returns; raise `TimeoutError` and cancel it once *limit* has passed."""
    task = asyncio.ensure_future(work)
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = clock.call_at(after(clock.now(), limit), expire)
    try:
        return await task
    except asyncio.CancelledError:
        if expired:
            raise TimeoutError from None
        task.cancel()
        raise
    finally:
        timer.cancel()


def _finish(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)

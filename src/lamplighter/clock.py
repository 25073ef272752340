"""The only module that asks the machine for the time.

Pure code takes `now: Timestamp` as an argument. Code that must wait takes a `Clock`: in a server
the `SystemClock` below, in tests the `FakeClock` of `devtools/clock.py`, which a test sets forward.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, NewType, Protocol, TypeVar

from lamplighter.futures import finish

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

#: How often `SystemClock` compares itself with the wall clock.
_COMPARED_EVERY_NS: Final = 1_000_000_000
#: `SystemClock` runs faster or slower by at most one part in this many.
_SLEWS_BY: Final = 20

#: Returns the time since the machine started. Nobody can set it, and it counts the time for which
#: the machine slept, where there is such a clock.
_steady_ns: Final[Callable[[], int]] = (
    partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic_ns
)

#: An instant: milliseconds since the epoch.
Timestamp = NewType("Timestamp", int)


class Timer(Protocol):
    """A callback that a clock will call later."""

    def cancel(self) -> None:
        """Prevent the call. Does nothing if the call was made."""


class Clock(Protocol):
    """Tells the time, and calls callbacks at given instants."""

    def now(self) -> Timestamp:
        """Return the current instant."""

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        """Call *callback* in the event loop at *when*, or at once if *when* has passed."""


class SystemClock:
    """The machine's time; its timers run on the event loop that is running.

    This clock starts with the time of the wall clock and then counts with a steady clock. If
    somebody sets the wall clock, this clock approaches it by running at most a twentieth faster or
    slower. So no time-out is early or late by more than a twentieth, and instants never go back.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = _steady_ns
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._compared_ns = steady_ns()
        #: The difference between this clock and the steady clock.
        self._offset_ns = wall_ns() - self._compared_ns
        self._latest = Timestamp(0)

    def now(self) -> Timestamp:
        steady_ns = self._steady_ns()
        passed_ns = steady_ns - self._compared_ns
        if passed_ns >= _COMPARED_EVERY_NS:
            most = passed_ns // _SLEWS_BY
            missing = self._wall_ns() - (steady_ns + self._offset_ns)
            self._offset_ns += max(-most, min(most, missing))
            self._compared_ns = steady_ns
        instant = Timestamp((steady_ns + self._offset_ns) // 1_000_000)
        if instant > self._latest:
            self._latest = instant
        return self._latest

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        delay = max(0, when - self.now()) / 1000
        return asyncio.get_running_loop().call_later(delay, callback)


def cpu_time() -> int:
    """Return the CPU time that this thread has used, in nanoseconds. Waiting uses none."""
    return time.thread_time_ns()


def milliseconds(duration: timedelta) -> int:
    """Return *duration* in whole milliseconds."""
    return duration // _MILLISECOND


def after(now: Timestamp, duration: timedelta) -> Timestamp:
    """Return the instant *duration* after *now*."""
    return Timestamp(now + duration // _MILLISECOND)


async def next_turn() -> None:
    """Return in the next cycle of the event loop, after everything that is ready now."""
    loop = asyncio.get_running_loop()
    turned: asyncio.Future[None] = loop.create_future()
    loop.call_soon(finish, turned)
    await turned


async def sleep(clock: Clock, duration: timedelta) -> None:
    """Return once *duration* has passed on *clock*."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(after(clock.now(), duration), lambda: finish(done))
    try:
        await done
    finally:
        timer.cancel()


async def within(clock: Clock, limit: timedelta, work: Awaitable[T]) -> T:
    """Return the result of *work*. After *limit*, cancel *work* and raise `TimeoutError`."""
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

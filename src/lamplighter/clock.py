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


class SystemClock:
    """The machine's own clock, on the running event loop."""

    def now(self) -> Timestamp:
        return Timestamp(time.time_ns() // 1_000_000)

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        delay = max(0, when - self.now()) / 1000
        return asyncio.get_running_loop().call_later(delay, callback)


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

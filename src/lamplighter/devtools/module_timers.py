"""Timers that a module sets in the event loop, put on a clock that is turned by hand.

`asyncio.sleep`, `asyncio.timeout`, `asyncio.wait_for` and `asyncio.wait` all end in the event
loop's `time`, `call_at` and `call_later`. Within `modules_by` these three read and set the given
clock wherever a module's code calls them: in its callbacks, and in every task that comes of them.
For all other code, such as the test's own, the event loop stays as it is.

For example, a module's `while True: await asyncio.sleep(60)` makes a timer on the clock each time.
`advance(minutes=5)` stops at each of these timers and lets the module act, so the module does five
times what it does once a minute, each time at the right instant, in no time.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from lamplighter.clock import Timer, Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.routing.containment import running_module

__all__ = ["modules_by"]

#: In milliseconds: less than this beyond a millisecond is an error of rounding.
_ROUNDING: Final = 0.001

#: The clocks of the servers that run in an event loop; modules go by the newest.
_CLOCKS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, list[FakeClock]]] = WeakKeyDictionary()


@contextmanager
def modules_by(clock: FakeClock) -> Iterator[None]:
    """Put the timers of modules on *clock* until the block ends, in the loop that runs now."""
    loop = asyncio.get_running_loop()
    clocks = _CLOCKS.setdefault(loop, [])
    if not clocks:
        vars(loop).update(_methods(loop, clocks))
    clocks.append(clock)
    try:
        yield
    finally:
        clocks.remove(clock)
        if not clocks:
            del loop.time, loop.call_at, loop.call_later


def _methods(
    loop: asyncio.AbstractEventLoop, clocks: list[FakeClock]
) -> dict[str, Callable[..., Any]]:
    """Return what stands in for methods of *loop* while there are *clocks*."""
    time, call_at, call_later = loop.time, loop.call_at, loop.call_later

    def module_time() -> float:
        return time() if running_module() is None else clocks[-1].now() / 1000

    def module_call_at(
        when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> "asyncio.TimerHandle | _ModuleTimer":
        if running_module() is None:
            return call_at(when, callback, *args, context=context)
        return _ModuleTimer(
            loop, clocks[-1], when, partial(callback, *args), context or copy_context()
        )

    def module_call_later(
        delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> "asyncio.TimerHandle | _ModuleTimer":
        if running_module() is None:
            return call_later(delay, callback, *args, context=context)
        return module_call_at(module_time() + delay, callback, *args, context=context)

    return {"time": module_time, "call_at": module_call_at, "call_later": module_call_later}


class _ModuleTimer:
    """A module gets this in the place of an `asyncio.TimerHandle`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: FakeClock,
        when: float,
        callback: Callable[[], object],
        context: Context,
    ) -> None:
        self._when = when
        self._is_cancelled = False
        self._timer: Timer | None = None

        def call() -> None:
            if not self._is_cancelled:
                callback()

        def call_soon() -> None:
            loop.call_soon(call, context=context)

        delay = math.ceil(when * 1000 - clock.now() - _ROUNDING)
        if delay > 0:
            self._timer = clock.call_at(Timestamp(clock.now() + delay), call_soon)
        else:
            call_soon()

    def when(self) -> float:
        return self._when

    def cancelled(self) -> bool:
        return self._is_cancelled

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._timer is not None:
            self._timer.cancel()

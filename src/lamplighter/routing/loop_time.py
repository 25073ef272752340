"""Whose code holds the event loop, and for how long: a time-out is blamed on nobody else.

While one module computes, or sleeps, in the loop, no other one can answer. So each step of a
module's code is measured, and the time that one module has held the loop is no time in which
others could have answered.
"""

import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar

from lamplighter.clock import Clock

__all__ = ["Holding", "LoopTime"]

T = TypeVar("T")


class LoopTime:
    """How long modules' code has held the event loop, all of it together, in milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ended = 0
        #: What holds the loop now, since when, and what it had held before.
        self._step: tuple[Holding, int] | None = None

    def held(self) -> int:
        """Return how long the loop was held, up to now."""
        return self._ended + self._in_step()

    def held_by(self, holding: "Holding") -> int:
        """Return what of it *holding* accounts for."""
        mine = self._step is not None and self._step[0] is holding
        return holding.ended + (self._in_step() if mine else 0)

    def step(self, holding: "Holding", work: Callable[[], T]) -> T:
        """Return what *work* returns; *holding* accounts for the time it takes."""
        began = self._clock.now()
        self._step = holding, began
        try:
            return work()
        finally:
            self._step = None
            taken = self._clock.now() - began
            if taken > 0:
                self._ended += taken
                holding.ended += taken

    def _in_step(self) -> int:
        return 0 if self._step is None else max(0, self._clock.now() - self._step[1])


class Holding:
    """One call's share of the loop's time."""

    def __init__(self, loop_time: LoopTime) -> None:
        self._loop_time = loop_time
        #: Milliseconds, of the steps that have ended.
        self.ended = 0
        self._began = loop_time.held()

    @property
    def own(self) -> int:
        """How long this call has held the loop."""
        return self._loop_time.held_by(self)

    @property
    def others(self) -> int:
        """How long others have held the loop since this call began."""
        return self._loop_time.held() - self._began - self.own

    def step(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, a step of this call."""
        return self._loop_time.step(self, work)

    @types.coroutine
    def steps_of(self, work: Awaitable[T]) -> Generator[Any, None, T]:
        """Return what *work* returns, awaited; each step of it is one of this call."""
        steps: Any = work.__await__()
        advance: Callable[[], object] = partial(next, steps)
        while True:
            try:
                awaited = self.step(advance)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - it is the module's to see
                advance = partial(steps.throw, error)
            else:
                advance = partial(next, steps)

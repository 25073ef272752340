"""Which module holds the event loop, and for how long: the blame for a time-out.

All modules share one event loop. While one module computes or sleeps in the loop, no other module
can answer, and all timers are late. A time-out alone therefore does not say which module is slow.

So the server measures each step of a module's code: the time from when the loop resumes the code
until the code awaits something or ends. The time of one module's steps does not count as waiting
time of the others (`calls.py`).

For example, module A waits for a reply from a database, and module B computes for 60 seconds in
the loop. The time-out of 5 seconds fires for both when the loop is free again. B has held the loop
for 60 seconds, which counts as a failure of B. A has had no time at all, so A gets its 5 seconds
again.
"""

import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar

from lamplighter.clock import Clock

__all__ = ["Holding", "LoopTime", "stepwise"]

T = TypeVar("T")


class LoopTime:
    """How long the code of all modules together has held the event loop, in milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ended = 0
        #: The call whose step runs now, and when the step began.
        self._step: tuple[Holding, int] | None = None

    def held(self) -> int:
        """Return how long modules have held the loop, up to now."""
        return self._ended + self._in_step()

    def held_by(self, holding: "Holding") -> int:
        """Return how much of that time belongs to *holding*."""
        mine = self._step is not None and self._step[0] is holding
        return holding.ended + (self._in_step() if mine else 0)

    def step(self, holding: "Holding", work: Callable[[], T]) -> T:
        """Return the result of *work*, whose time belongs to *holding*."""
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
    """The loop time of one call."""

    def __init__(self, loop_time: LoopTime) -> None:
        self._loop_time = loop_time
        #: Milliseconds, in the steps that have ended.
        self.ended = 0
        self._began = loop_time.held()

    @property
    def own(self) -> int:
        """How long this call has held the loop."""
        return self._loop_time.held_by(self)

    @property
    def others(self) -> int:
        """How long other calls have held the loop since this call began."""
        return self._loop_time.held() - self._began - self.own

    def step(self, work: Callable[[], T]) -> T:
        """Return the result of *work*, a step of this call."""
        return self._loop_time.step(self, work)

    def steps_of(self, work: Awaitable[T]) -> Awaitable[T]:
        """Await *work* and return its result; each step of *work* is a step of this call."""
        return stepwise(work, self.step)


@types.coroutine
def stepwise(
    work: Awaitable[T], step: Callable[[Callable[[], object]], object]
) -> Generator[Any, None, T]:
    """Await *work* and return its result; *step* calls each step of *work*."""
    steps: Any = work.__await__()
    advance: Callable[[], object] = partial(next, steps)
    while True:
        try:
            awaited = step(advance)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - the code that is awaited gets it
            advance = partial(steps.throw, error)
        else:
            advance = partial(next, steps)

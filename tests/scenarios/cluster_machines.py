"""The machines of a random cluster: each has a clock, and a module that thinks."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random  # noqa: TID251 - seeded by the world: the same world each time
from typing import Any

from lamplighter.clock import Clock, Timer, Timestamp, sleep
from lamplighter.devtools.clock import FakeClock
from tests.routing.callbacks import Act
from tests.service.nodes import Node

__all__ = ["MachineClock", "load_a_module"]


class MachineClock:
    """The clock of one machine: it may be wrong, and its processes may stand still."""

    def __init__(self, clock: FakeClock, wrong_by: int) -> None:
        self._clock, self._wrong_by = clock, wrong_by
        self._stopped_at: Timestamp | None = None
        self._due: list[Callable[[], None]] = []

    def now(self) -> Timestamp:
        now = self._clock.now() if self._stopped_at is None else self._stopped_at
        return Timestamp(now + self._wrong_by)

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        timer = _MachineTimer(self, callback)
        timer.begin(self._clock, Timestamp(when - self._wrong_by))
        return timer

    def stop(self) -> None:
        """Let no timer come."""
        self._stopped_at = self._clock.now()

    def tell_time(self) -> None:
        """Tell the time again; the timers that were due come with `go_on`."""
        self._stopped_at = None

    def go_on(self) -> None:
        """Let all timers come that were due."""
        self.tell_time()
        due, self._due = self._due, []
        for callback in due:
            callback()

    def come(self, callback: Callable[[], None]) -> None:
        """Call *callback*, now or once processes go on."""
        if self._stopped_at is None:
            callback()
        else:
            self._due.append(callback)


class _MachineTimer:
    def __init__(self, machine: MachineClock, callback: Callable[[], None]) -> None:
        self._machine, self._callback = machine, callback
        self._is_cancelled = False
        self._timer: Timer | None = None

    def begin(self, clock: FakeClock, when: Timestamp) -> None:
        self._timer = clock.call_at(when, lambda: self._machine.come(self._call))

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._timer is not None:
            self._timer.cancel()

    def _call(self) -> None:
        if not self._is_cancelled:
            self._callback()


def load_a_module(node: Node, clock: Clock, random: Random, thinks: Sequence[timedelta]) -> None:
    """Load a module that shows nobody, and each time thinks for one of these durations."""

    def after_thinking(answer: object) -> Act:
        async def act(_asked: Any) -> object:
            await sleep(clock, random.choice(thinks))
            return answer

        return act

    node.core.router.adopt(registered := node.core.router.prepare())
    registered.register("Slow", after_thinking({}), after_thinking(set()))

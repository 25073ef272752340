"""A clock that is turned by hand."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from lamplighter.clock import Timestamp, after

__all__ = ["FakeClock"]

#: 2024-01-01T00:00:00Z
START = Timestamp(1_704_067_200_000)


@dataclass(order=True, slots=True)
class _FakeTimer:
    when: Timestamp
    number: int
    callback: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """A `Clock` whose time passes only by `advance`."""

    def __init__(
        self, start: Timestamp = START, moved: Callable[[Timestamp], None] = lambda _: None
    ) -> None:
        """The clock calls *moved* with each new instant."""
        self._now = start
        self._moved = moved
        self._timers: list[_FakeTimer] = []
        self._numbers = itertools.count()

    def now(self) -> Timestamp:
        return self._now

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> _FakeTimer:
        timer = _FakeTimer(max(when, self._now), next(self._numbers), callback)
        heapq.heappush(self._timers, timer)
        return timer

    def next_timer(self) -> Timestamp | None:
        """Return when the next timer is due, or None if nobody waits."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0].when if self._timers else None

    def advance(self, **duration: float) -> None:
        """Let time pass, given as to `timedelta`; timers fire in order, each at its own instant."""
        self.advance_to(after(self._now, timedelta(**duration)))

    def advance_to(self, instant: Timestamp) -> None:
        """Let time pass until *instant*."""
        while (due := self.next_timer()) is not None and due <= instant:
            timer = heapq.heappop(self._timers)
            self._move(due)
            if timer.callback is not None:
                timer.callback()
        self._move(max(self._now, instant))

    def _move(self, instant: Timestamp) -> None:
        if instant != self._now:
            self._now = instant
            self._moved(instant)

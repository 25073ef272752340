"""A clock whose timers fire late, as those of a busy event loop or of a stopped process do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.devtools.clock import FakeClock

__all__ = ["BusyClock"]


class BusyClock(FakeClock):
    """A clock that can be late."""

    def __init__(self) -> None:
        super().__init__()
        self._lateness = 0

    def now(self) -> Timestamp:
        return Timestamp(super().now() + self._lateness)

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Any:
        return super().call_at(Timestamp(when - self._lateness), callback)

    def be_late(self, **duration: float) -> None:
        """Let this *duration* pass in which no timer fires."""
        self._lateness += milliseconds(timedelta(**duration))

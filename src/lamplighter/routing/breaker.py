"""A circuit breaker: after failures in a row, a module is not called for a while. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from lamplighter.clock import Timestamp, after

__all__ = ["Breaker", "BreakerSettings"]


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When the breaker pauses a module, and for how long."""

    #: After this many failures in a row the module is paused.
    failures: int = 5
    #: The first pause. Each further pause without a success in between is twice as long.
    pause: timedelta = timedelta(seconds=30)
    longest_pause: timedelta = timedelta(minutes=10)


class Breaker:
    """Counts failures in a row; after too many of them, it admits one call per pause."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._next_pause = settings.pause
        #: When the next call is admitted; None while the module is not paused.
        self.paused_until: Timestamp | None = None

    @property
    def is_open(self) -> bool:
        """Whether the module is paused."""
        return self.paused_until is not None

    def admits(self, now: Timestamp) -> bool:
        """Tell whether the module may be called. After a pause, only the first caller may."""
        if self.paused_until is None:
            return True
        if now < self.paused_until:
            return False
        self._pause(now)  # no other call until this one has succeeded
        return True

    def succeeded(self) -> None:
        """The module answered in time."""
        self._failures = 0
        self._next_pause = self._settings.pause
        self.paused_until = None

    def failed(self, now: Timestamp) -> None:
        """The module failed; pause it after too many failures in a row."""
        self._failures += 1
        if self.paused_until is None and self._failures >= self._settings.failures:
            self._pause(now)

    def _pause(self, now: Timestamp) -> None:
        length = min(self._next_pause, self._settings.longest_pause)
        self._next_pause = length * 2
        self.paused_until = after(now, length)

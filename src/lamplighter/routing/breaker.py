"""When a module is left alone for a while: a circuit breaker, pure."""

from dataclasses import dataclass
from datetime import timedelta

from lamplighter.clock import Timestamp, after

__all__ = ["Breaker", "BreakerSettings"]


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """How patient the breaker is."""

    #: So many failures in a row pause the module.
    failures: int = 5
    #: The first pause; each one that follows without a success between is twice as long.
    pause: timedelta = timedelta(seconds=30)
    longest_pause: timedelta = timedelta(minutes=10)


class Breaker:
    """Counts failures in a row; once there are too many, admits one try per pause."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._next_pause = settings.pause
        self._paused_until: Timestamp | None = None

    @property
    def is_open(self) -> bool:
        """Whether the module is paused."""
        return self._paused_until is not None

    @property
    def paused_until(self) -> Timestamp | None:
        """When the next try is admitted; None while the module is not paused."""
        return self._paused_until

    def admits(self, now: Timestamp) -> bool:
        """Tell whether the module may be called; after a pause, one caller is told yes."""
        if self._paused_until is None:
            return True
        if now < self._paused_until:
            return False
        self._pause(now)  # until the try has answered, nobody else tries
        return True

    def succeeded(self) -> None:
        """The module answered."""
        self._failures = 0
        self._next_pause = self._settings.pause
        self._paused_until = None

    def failed(self, now: Timestamp) -> None:
        """The module failed; perhaps once too often."""
        self._failures += 1
        if self._paused_until is None and self._failures >= self._settings.failures:
            self._pause(now)

    def _pause(self, now: Timestamp) -> None:
        length = min(self._next_pause, self._settings.longest_pause)
        self._next_pause = length * 2
        self._paused_until = after(now, length)

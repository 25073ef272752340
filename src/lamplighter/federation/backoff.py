"""How long a server that does not answer is left alone: longer each time, and not all at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from lamplighter.clock import Timestamp, after
from lamplighter.ports import BackoffState

__all__ = ["Backoff", "BackoffSettings"]


@dataclass(frozen=True, slots=True)
class BackoffSettings:
    """How patient we are."""

    #: The pause after the first failure; each further failure in a row doubles it.
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(hours=1)
    #: The longest pause for a server that speaks to us meanwhile.
    when_heard: timedelta = timedelta(seconds=30)


class Backoff:
    """Counts failures in a row, and says when to try again.

    *random* returns a number from 0 up to, not including, 1. By it each pause is shortened, by
    up to a half, so that many who failed together do not come back together.
    """

    def __init__(
        self, random: Callable[[], float], settings: BackoffSettings | None = None
    ) -> None:
        self._random = random
        self._settings = settings or BackoffSettings()
        self._state: BackoffState | None = None

    @property
    def state(self) -> BackoffState | None:
        """What to keep over a restart; None while nothing is wrong."""
        return self._state

    @property
    def retry_at(self) -> Timestamp | None:
        """When to try again; None is at any time."""
        return self._state.retry_at if self._state else None

    def restore(self, state: BackoffState, now: Timestamp) -> None:
        """Continue from *state*; the pause ends within the longest one, whatever the clock was."""
        latest = after(now, self._settings.longest)
        failures = max(1, state.failures)
        self._state = BackoffState(failures, min(state.retry_at, latest))

    def succeeded(self) -> None:
        """It worked: nothing is wrong any more."""
        self._state = None

    def failed(self, now: Timestamp) -> None:
        """It failed: wait, longer than the last time."""
        failures = self._state.failures + 1 if self._state else 1
        pause = self._pause(failures) * (1 - self._random() / 2)
        self._state = BackoffState(failures, after(now, pause))

    def heard(self, now: Timestamp) -> None:
        """The server speaks to us, so it may answer again: try sooner."""
        if self._state is not None:
            soon = after(now, self._settings.when_heard * (1 - self._random() / 2))
            self._state = BackoffState(self._state.failures, min(self._state.retry_at, soon))

    def _pause(self, failures: int) -> timedelta:
        pause, longest = self._settings.first, self._settings.longest
        for _ in range(failures - 1):
            if pause >= longest:
                break
            pause *= 2
        return min(pause, longest)

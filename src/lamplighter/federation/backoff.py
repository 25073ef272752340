"""How long to wait before the next attempt to reach a server that failed.

After each failure in a row the pause is twice as long, up to an hour. A random part of up to half
of the pause is left out, so that servers which failed together are not tried again together.

Example: a server fails for the fourth time in a row. The pause is 8 seconds, and the next attempt
comes after 4 to 8 seconds. If the server sends us a request meanwhile, it probably works again, and
the next attempt comes within 30 seconds, however long the pause was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.ports import BackoffState

__all__ = ["Backoff", "BackoffSettings"]

#: A millisecond that is doubled this often is longer than any pause.
_MOST_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True)
class BackoffSettings:
    """The lengths of pauses."""

    #: The pause after the first failure. Each further failure in a row doubles it.
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(hours=1)
    #: The longest pause after the server has sent us a request.
    when_heard: timedelta = timedelta(seconds=30)


class Backoff:
    """Counts failures in a row, and says when to try again.

    *random* returns a number from 0 up to, not including, 1.
    """

    def __init__(
        self, random: Callable[[], float], settings: BackoffSettings | None = None
    ) -> None:
        self._random = random
        self._settings = settings or BackoffSettings()
        self._state: BackoffState | None = None

    @property
    def state(self) -> BackoffState | None:
        """The state to store for a restart; None after a success."""
        return self._state

    @property
    def retry_at(self) -> Timestamp | None:
        """When to try again; None if there is no need to wait."""
        return self._state.retry_at if self._state else None

    def restore(self, state: BackoffState, now: Timestamp) -> None:
        """Continue from a stored *state*. The pause has a limit, even if the clock was wrong."""
        latest = after(now, self._settings.longest)
        failures = max(1, state.failures)
        self._state = BackoffState(failures, min(state.retry_at, latest))

    def succeeded(self) -> None:
        """A request succeeded: forget all failures."""
        self._state = None

    def failed(self, now: Timestamp) -> None:
        """A request failed: wait longer than the last time."""
        failures = self._state.failures + 1 if self._state else 1
        doubled = self._settings.first * 2 ** min(failures - 1, _MOST_DOUBLINGS)
        pause = min(doubled, self._settings.longest) * (1 - self._random() / 2)
        self._state = BackoffState(failures, after(now, pause))

    def heard(self, now: Timestamp) -> None:
        """The server has sent us a request, so it probably works again: try sooner."""
        if self._state is not None:
            soon = after(now, self._settings.when_heard * (1 - self._random() / 2))
            self._state = BackoffState(self._state.failures, min(self._state.retry_at, soon))

"""Saying the same thing in the log only so often: the first time, and then once in a while."""

from collections.abc import Hashable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after

__all__ = ["LogLimit"]

_OTHERS: Final = object()


class LogLimit:
    """Admits one line about each problem in a *period*, and counts those that it does not admit.

    Of *most* problems, and of all others together: problems without end make no lines without end.
    """

    def __init__(self, period: timedelta = timedelta(minutes=1), most: int = 50) -> None:
        self._period = period
        self._most = most
        self._said_at: dict[Hashable, Timestamp] = {}
        self._unsaid: dict[Hashable, int] = {}

    def admits(self, problem: Hashable, now: Timestamp) -> int | None:
        """Return how many lines were left out since the last one; None where this is left out."""
        if problem not in self._said_at and len(self._said_at) >= self._most:
            problem = _OTHERS
        said_at = self._said_at.get(problem)
        # A clock that was set back holds nothing up.
        if said_at is not None and said_at <= now < after(said_at, self._period):
            self._unsaid[problem] = self._unsaid.get(problem, 0) + 1
            return None
        self._said_at[problem] = now
        return self._unsaid.pop(problem, 0)

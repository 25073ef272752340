"""A limit on repeated log lines: the first is written, and then one in each period."""

from collections.abc import Hashable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after

__all__ = ["LogLimit"]

#: Stands for all problems beyond the first `most`.
_OTHERS: Final = object()


class LogLimit:
    """Admits one line about each problem in a *period*, and counts the lines that it leaves out.

    After *most* different problems, all further problems share one such limit. So the number of
    lines and the memory are bounded, however many problems there are.
    """

    def __init__(self, period: timedelta = timedelta(minutes=1), most: int = 50) -> None:
        self._period = period
        self._most = most
        self._admitted_at: dict[Hashable, Timestamp] = {}
        self._left_out: dict[Hashable, int] = {}

    def admits(self, problem: Hashable, now: Timestamp) -> int | None:
        """Return the number of lines left out since the last one; None if this one is left out."""
        if problem not in self._admitted_at and len(self._admitted_at) >= self._most:
            problem = _OTHERS
        last = self._admitted_at.get(problem)
        # A clock that was set back must not suppress lines, hence the first comparison.
        if last is not None and last <= now < after(last, self._period):
            self._left_out[problem] = self._left_out.get(problem, 0) + 1
            return None
        self._admitted_at[problem] = now
        return self._left_out.pop(problem, 0)

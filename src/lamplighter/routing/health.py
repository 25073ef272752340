"""How one module has been doing, for people to look at."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from lamplighter.clock import Timestamp

__all__ = ["Failure", "ModuleHealth"]

#: So many of the last answers tell how fast a module is.
_RECENT: Final = 200


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that was lost, whole or in part."""

    callback: str
    kind: str
    problem: str
    at: Timestamp


class ModuleHealth:
    """Counts what became of a module's calls since the server started."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0
        self.last_failure: Failure | None = None
        #: How long the last answers took, in seconds; never so many that adding one costs more.
        self._seconds: deque[float] = deque(maxlen=_RECENT)

    def asked(self) -> None:
        """The module was called."""
        self.calls += 1

    def answered(self, seconds: float) -> None:
        """It answered, rightly or wrongly, after *seconds*."""
        self._seconds.append(seconds)

    def failed(self, failure: Failure) -> None:
        """An answer was lost, whole or in part."""
        self.failures += 1
        self.last_failure = failure

    def seconds(self, share: float) -> float | None:
        """Return the time within which that *share* of its recent answers came; None without any.

        *share* is above 0 and at most 1: 0.5 asks for the median.
        """
        ordered = sorted(self._seconds)
        return ordered[max(0, round(share * len(ordered)) - 1)] if ordered else None

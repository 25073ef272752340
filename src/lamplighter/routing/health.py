"""How one module has been doing since the server started, for people to look at."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from lamplighter.clock import Timestamp

__all__ = ["Failure", "ModuleHealth"]

#: How many of the last answers count for the response times.
_RECENT: Final = 200


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that was lost, as a whole or in part."""

    callback: str
    kind: str
    problem: str
    at: Timestamp


class ModuleHealth:
    """Counts a module's calls and failures, and knows the response times of its last answers."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0
        self.last_failure: Failure | None = None
        self._seconds: deque[float] = deque(maxlen=_RECENT)

    def asked(self) -> None:
        """The server has called the module."""
        self.calls += 1

    def answered(self, seconds: float) -> None:
        """The module has answered, rightly or wrongly, after *seconds*."""
        self._seconds.append(seconds)

    def failed(self, failure: Failure) -> None:
        """An answer was lost, as a whole or in part."""
        self.failures += 1
        self.last_failure = failure

    def seconds(self, share: float) -> float | None:
        """Return within how many seconds this *share* of recent answers came; None without any.

        *share* is above 0 and at most 1: 0.5 asks for the median.
        """
        ordered = sorted(self._seconds)
        return ordered[max(0, round(share * len(ordered)) - 1)] if ordered else None

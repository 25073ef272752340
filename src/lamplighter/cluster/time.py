"""The clock of a cluster: all nodes tell the time of the log's server, not their own."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timer, Timestamp, milliseconds

__all__ = ["ClusterClock"]

#: A difference up to this is the way of the answer through the network.
_UNSURE: Final = milliseconds(timedelta(milliseconds=50))


class ClusterClock:
    """The `Clock` of a node. It tells the node's own time until it is set; it never goes back."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead = 0
        self._latest = Timestamp(0)

    def set(self, now: Timestamp) -> None:
        """Learn that it is *now* at the log's server."""
        ahead = now - self._own.now()
        if abs(ahead - self._ahead) > _UNSURE:
            self._ahead = ahead

    def now(self) -> Timestamp:
        self._latest = max(self._latest, Timestamp(self._own.now() + self._ahead))
        return self._latest

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        return self._own.call_at(Timestamp(when - self._ahead), callback)

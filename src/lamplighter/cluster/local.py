"""The stream of a single node: positions from a counter that follows the clock."""

from collections.abc import Sequence

from lamplighter.clock import Clock
from lamplighter.cluster.positions import BEGINNING, following
from lamplighter.ids import StreamPosition
from lamplighter.presence.changes import Change

__all__ = ["LocalBus"]


class LocalBus:
    """A `Bus` within the process; appending costs no await."""

    def __init__(self, clock: Clock, last: StreamPosition = BEGINNING) -> None:
        """Continue after *last*, the largest position that was ever given out."""
        self._clock = clock
        self._position = following(last, clock.now())

    @property
    def position(self) -> StreamPosition:
        return self._position

    def append(self, changes: Sequence[Change]) -> StreamPosition:  # noqa: ARG002 - nobody else to tell
        self._position = following(self._position, self._clock.now())
        return self._position

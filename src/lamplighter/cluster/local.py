"""The stream of a single node: positions from a counter that follows the clock."""

from collections.abc import Sequence
from typing import Final

from lamplighter.clock import Clock, Timestamp
from lamplighter.cluster.positions import BEGINNING, at_time, following
from lamplighter.ids import StreamPosition
from lamplighter.presence.changes import Change

__all__ = ["LocalBus"]

#: More positions than a server gives out between two changes.
_GAP: Final = Timestamp(1_000)


class LocalBus:
    """A `Bus` within the process; appending costs no await."""

    def __init__(self, clock: Clock, last: StreamPosition = BEGINNING) -> None:
        """Continue well after *last*, the largest position that was saved.

        Larger ones may have been given out, and stand in tokens. They were close to it, or of a
        time that is past; so no token from before looks like one that comes later.
        """
        self._clock = clock
        self._position = following(StreamPosition(last + at_time(_GAP)), clock.now())

    @property
    def position(self) -> StreamPosition:
        return self._position

    def append(self, changes: Sequence[Change]) -> StreamPosition:  # noqa: ARG002 - nobody else to tell
        self._position = following(self._position, self._clock.now())
        return self._position

"""The stream of a single node: positions from a counter that follows the clock."""

from typing import Final

from lamplighter.clock import Clock, Timestamp
from lamplighter.cluster.entries import Entry
from lamplighter.cluster.positions import BEGINNING, at_time, following
from lamplighter.cluster.stream import Consumer, Lost, Then
from lamplighter.ids import StreamPosition

__all__ = ["LocalStream"]

#: More positions than a server gives between two changes that it saves.
_GAP: Final = Timestamp(1_000)


class LocalStream:
    """A `Stream` within the process: the consumer has had an entry when `append` returns."""

    def __init__(self, clock: Clock, last: StreamPosition = BEGINNING) -> None:
        """Continue well after *last*, the largest position that was saved.

        Larger positions may have been given before, and stand in tokens. They were close to it, or
        of a time that is past; so no token from before looks like one that comes later.
        """
        self._clock = clock
        self._position = following(StreamPosition(last + at_time(_GAP)), clock.now())
        self.unsure = range(last + 1, self._position)
        self._consumer: Consumer | None = None

    @property
    def position(self) -> StreamPosition:
        return self._position

    def hand_to(self, consumer: Consumer) -> None:
        if self._consumer is not None:
            raise RuntimeError("the stream has a consumer")
        self._consumer = consumer

    @property
    def is_current(self) -> bool:
        return True

    @property
    def is_fresh(self) -> bool:
        return True

    async def catch_up(self) -> None:
        """There is no other node."""

    def append(self, entry: Entry, then: Then | None = None, lost: Lost | None = None) -> None:
        del lost  # nothing is
        if self._consumer is None:
            raise RuntimeError("the stream has no consumer")
        position = self.advance()
        self._consumer(position, entry)
        if then is not None:
            then(position)

    def advance(self) -> StreamPosition:
        self._position = following(self._position, self._clock.now())
        return self._position

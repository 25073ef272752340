"""When polls are over: one timer for all that end together, instead of one for each."""

from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from lamplighter.clock import Clock, Timer, Timestamp, milliseconds

__all__ = ["Ending", "Timeouts"]

#: A poll of a second or more ends up to this many milliseconds late, with its neighbours.
GRAIN: Final = 100
_SECOND: Final = timedelta(seconds=1)


class Ending(Protocol):
    """What is ended."""

    def end(self) -> None:
        """Its time is over."""


class Timeouts:
    """Ends what is not taken out before its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[Timestamp, tuple[dict[Ending, None], Timer]] = {}

    def put(self, ending: Ending, timeout: timedelta) -> Timestamp:
        """End *ending* after *timeout*, at the instant that is returned."""
        instant = self._clock.now() + milliseconds(timeout)
        if timeout >= _SECOND:
            instant = -(-instant // GRAIN) * GRAIN
        due = Timestamp(instant)
        known = self._due.get(due)
        if known is None:
            known = self._due[due] = {}, self._clock.call_at(due, partial(self._end, due))
        known[0][ending] = None
        return due

    def take_out(self, ending: Ending, due: Timestamp) -> None:
        """Do not end *ending*, which was to be ended at *due*, if it was not."""
        known = self._due.get(due)
        if known is None:  # it has come
            return
        together, timer = known
        together.pop(ending, None)
        if not together:
            timer.cancel()
            del self._due[due]

    def _end(self, due: Timestamp) -> None:
        together, _ = self._due.pop(due)
        for ending in list(together):
            ending.end()

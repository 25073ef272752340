"""When polls are over: one timer for all that end together, instead of one for each."""

from datetime import timedelta
from functools import partial
from typing import Final

from lamplighter.clock import Clock, Timer, Timestamp, milliseconds
from lamplighter.delivery.feed import WaitingPoll

__all__ = ["Timeouts"]

#: A poll of a second or more ends up to this many milliseconds late, with its neighbours.
GRAIN: Final = 100
_SECOND: Final = timedelta(seconds=1)


class Timeouts:
    """Ends polls that are not taken out before their time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[Timestamp, tuple[dict[WaitingPoll, None], Timer]] = {}

    def put(self, poll: WaitingPoll, timeout: timedelta, now: Timestamp) -> Timestamp:
        """End *poll*, which begins *now*, after *timeout*: at the instant that is returned."""
        instant = now + milliseconds(timeout)
        if timeout >= _SECOND:
            instant = -(-instant // GRAIN) * GRAIN
        due = Timestamp(instant)
        known = self._due.get(due)
        if known is None:
            known = self._due[due] = {}, self._clock.call_at(due, partial(self._end, due))
        known[0][poll] = None
        return due

    def take_out(self, poll: WaitingPoll, due: Timestamp) -> None:
        """Do not end *poll* at *due*, if it was not ended yet."""
        known = self._due.get(due)
        if known is None:  # it has come
            return
        together, timer = known
        together.pop(poll, None)
        if not together:
            timer.cancel()
            del self._due[due]

    def _end(self, due: Timestamp) -> None:
        together, _ = self._due.pop(due)
        for poll in list(together):
            poll.end()

"""The calls of a callback for one question to a module, and the time-out that they share.

A question usually takes one call. Where that call fails, the server asks again about fewer users
at a time (`parts.py`); all these calls share the time-out of the question.

The time in which other modules hold the event loop is no time of this question
(`loop_time.py` tells why): when the timer fires, the time-out is put off by as much. Where the
timer fires late and no module has held the loop, something else has, for instance the server
itself or another process. It is not known since when, so the question gets its whole time again,
but at most `_MOST_FRESH_STARTS` times: a module that never answers must be late in the end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timer, Timestamp, after, milliseconds
from lamplighter.ids import UserId
from lamplighter.routing.containment import contained
from lamplighter.routing.loop_time import Holding, LoopTime

__all__ = ["Call", "Calls"]

#: A timer that fires this many milliseconds after its time, or less, is not late.
_LATE: Final = 100
#: How often the time of a question begins again because the event loop was late.
_MOST_FRESH_STARTS: Final = 4


class Call:
    """One call of a callback."""

    def __init__(self, task: "asyncio.Task[object]", holding: Holding, began: Timestamp) -> None:
        self.task = task
        self.holding = holding
        self.began = began
        #: Whether the question's time was over before the call ended.
        self.is_late = False


class Calls:
    """The calls for one question to *module*: the *callback*, asked *about* these users.

    The calls have *limit* to answer, all together. *ended* gets each call when its code has ended,
    in time or not.
    """

    def __init__(
        self,
        module: str,
        callback: str,
        about: tuple[UserId, ...],
        *,
        clock: Clock,
        loop_time: LoopTime,
        limit: timedelta,
        ended: Callable[["Calls", Call], None],
    ) -> None:
        self.callback = callback
        self.about = about
        self.limit = limit
        self._module = module
        self._clock = clock
        self._loop_time = loop_time
        self._limit = milliseconds(limit)
        self._ended = ended
        self.began = clock.now()
        self._held_before = loop_time.held()
        self._calls: list[Call] = []
        self._under_way: dict[Call, Callable[[Call], None]] = {}
        #: How many milliseconds others had held the loop when the timer was set.
        self._others = 0
        self._fresh_starts = 0
        self._due = after(self.began, limit)
        self._timer: Timer = clock.call_at(self._due, self._time_passed)
        self.is_over = False
        #: How many calls were late.
        self.late = 0
        #: Whether a late call had most of the question's time for itself.
        self.cost_time = False
        #: Whether a call has ended in time, and whether a call has returned something.
        self.have_ended = self.have_answered = False

    @property
    def longest_held(self) -> timedelta:
        """The longest time for which one call has held the event loop."""
        return timedelta(milliseconds=max((call.holding.own for call in self._calls), default=0))

    @property
    def under_way(self) -> int:
        """How many calls have neither ended nor become late."""
        return len(self._under_way)

    def begin(
        self, work: Callable[[], Awaitable[object]], concluded: Callable[[Call], None]
    ) -> None:
        """Call *work*; *concluded* gets the call once it has ended, or is late."""
        holding = Holding(self._loop_time)
        task = asyncio.ensure_future(contained(self._module, work, holding))
        call = Call(task, holding, self._clock.now())
        self._calls.append(call)
        self._under_way[call] = concluded
        task.add_done_callback(lambda _: self._conclude(call))

    def close(self) -> None:
        """Cancel the time-out: the question is answered."""
        self._timer.cancel()

    def _conclude(self, call: Call) -> None:
        concluded = self._under_way.pop(call, None)
        if concluded is None:
            call.task.cancelled() or call.task.exception()  # asyncio logs what nobody retrieves
        else:
            self.have_ended = True
            self.have_answered |= not call.task.cancelled() and call.task.exception() is None
            concluded(call)
        self._ended(self, call)

    def _time_passed(self) -> None:
        now = self._clock.now()
        left = self._time_left(now)
        if left > 0:
            self._due = Timestamp(now + left)
            self._timer = self._clock.call_at(self._due, self._time_passed)
            return
        self.is_over = True
        overdue = list(self._under_way.items())
        self.late = len(overdue)
        # A call that had less than half of the time was late because of the calls before it.
        half = self._limit // 2
        self.cost_time = any(now - it.began - it.holding.others >= half for it, _ in overdue)
        for call, concluded in overdue:
            del self._under_way[call]
            call.is_late = True
            concluded(call)
            call.task.cancel()  # a module may refuse to end; nothing waits for it any more

    def _time_left(self, now: Timestamp) -> int:
        """Return how many milliseconds the question still has."""
        others = self._loop_time.held() - self._held_before
        others -= sum(call.holding.own for call in self._calls)
        held, self._others = others - self._others, others
        late = max(0, now - self._due)  # if the clock was set back, nobody waits longer
        if late - held > _LATE and self._fresh_starts < _MOST_FRESH_STARTS:
            self._fresh_starts += 1
            return self._limit
        return held - late

"""The calls that one question to a module takes, all of them within the time that it has.

The time in which other modules held the event loop does not count: nobody could have answered in
it. Where the loop is late for another reason, the time begins anew, so often and no oftener.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, Timer, Timestamp, after, milliseconds
from lamplighter.ids import UserId
from lamplighter.routing.containment import contained
from lamplighter.routing.loop_time import Holding, LoopTime

__all__ = ["Call", "Calls", "ModuleQuestion"]

#: Milliseconds. A timer that is less late than this is not late.
_LATE: Final = 100
#: So often the time of a question begins anew, at most, because the loop is late.
_MOST_FRESH_STARTS: Final = 4


@dataclass(frozen=True, slots=True)
class ModuleQuestion:
    """Which callback is asked, and about whom."""

    callback: str
    about: tuple[UserId, ...]


class Call:
    """One call of a callback."""

    def __init__(self, task: "asyncio.Task[object]", holding: Holding, began: Timestamp) -> None:
        self.task = task
        self.holding = holding
        self.began = began
        #: Whether the question's time has passed before it ended.
        self.is_late = False

    @property
    def held(self) -> timedelta:
        """How long it has held the event loop."""
        return timedelta(milliseconds=self.holding.own)


class Calls:
    """The calls for one *question* to *module*, which has *limit* to answer.

    *ended* is called for each of them when its code runs no more, in time or not.
    """

    def __init__(
        self,
        module: str,
        question: ModuleQuestion,
        *,
        clock: Clock,
        loop_time: LoopTime,
        limit: timedelta,
        ended: Callable[[Call], None],
    ) -> None:
        self.question = question
        self._module = module
        self._clock = clock
        self._loop_time = loop_time
        #: How long they may take, all together.
        self.limit = limit
        self._limit = milliseconds(limit)
        self._ended = ended
        self.began = clock.now()
        self._held_before = loop_time.held()
        self._calls: list[Call] = []
        self._under_way: dict[Call, Callable[[Call], None]] = {}
        #: Milliseconds: what others had held of the time when the timer was set.
        self._others = 0
        self._fresh_starts = 0
        self._due = after(self.began, limit)
        self._timer: Timer = clock.call_at(self._due, self._time_passed)
        self.is_over = False
        #: Whether one of them, being late, had most of the time for itself.
        self.cost_time = False
        #: Whether one of them has ended in time, and whether one has returned something.
        self.have_ended = self.have_answered = False

    @property
    def longest_held(self) -> timedelta:
        """For how long one of them has held the event loop."""
        return max((call.held for call in self._calls), default=timedelta(0))

    @property
    def under_way(self) -> int:
        """How many calls have not been concluded."""
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
        """The question is answered: its time does not matter any more."""
        self._timer.cancel()

    def _conclude(self, call: Call) -> None:
        concluded = self._under_way.pop(call, None)
        if concluded is None:
            call.task.cancelled() or call.task.exception()  # seen: nobody else will look
        else:
            self.have_ended = True
            self.have_answered |= not call.task.cancelled() and call.task.exception() is None
            concluded(call)
        self._ended(call)

    def _time_passed(self) -> None:
        now = self._clock.now()
        left = self._time_left(now)
        if left > 0:
            self._due = Timestamp(now + left)
            self._timer = self._clock.call_at(self._due, self._time_passed)
            return
        self.is_over = True
        overdue = list(self._under_way.items())
        self.cost_time = any(self._had_most(call, now) for call, _ in overdue)
        for call, concluded in overdue:
            del self._under_way[call]
            call.is_late = True
            concluded(call)
            call.task.cancel()  # it may refuse to end; nobody waits for it any more

    def _time_left(self, now: Timestamp) -> int:
        """Return how many milliseconds the question has besides those that have passed."""
        others = self._loop_time.held() - self._held_before
        others -= sum(call.holding.own for call in self._calls)
        held, self._others = others - self._others, others
        late = max(0, now - self._due)  # a clock that was set back makes nobody wait for longer
        if late - held > _LATE and self._fresh_starts < _MOST_FRESH_STARTS:
            # Since when the loop was held is not known: what waits in it has had no time at all.
            self._fresh_starts += 1
            return self._limit
        return held - late

    def _had_most(self, call: Call, now: Timestamp) -> bool:
        """Tell whether a call had half of the question's time; if not, others have used it up."""
        return now - call.began - call.holding.others >= self._limit // 2

"""One module's callbacks, called so that the module cannot harm the server.

A callback may raise, hang or return nonsense. Each of these costs the module's answer about the
users that the call was about, and nothing else: a log line names module, callback and users, and a
metric counts the failure.

Only lost time pauses a module: time-outs in a row, or calls that hold the event loop. Exceptions
do not, because they often depend on a user's data, and no user may switch a module off for others.
"""

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp
from lamplighter.ids import UserId
from lamplighter.log_limits import LogLimit
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.alterations import Alterations
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes, check_interest
from lamplighter.routing.breaker import Breaker, BreakerSettings
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.calls import Call, Calls
from lamplighter.routing.containment import described
from lamplighter.routing.health import Failure, ModuleHealth
from lamplighter.routing.loop_time import LoopTime
from lamplighter.routing.parts import Suspects
from lamplighter.routing.problems import (
    BLOCKED,
    EXCEPTION,
    TIMEOUT,
    WRONG_ANSWER,
    Problem,
    alike,
    failure_of,
)
from lamplighter.routing.reasons import Module
from lamplighter.routing.states_question import StatesQuestion

__all__ = ["GuardSettings", "GuardedModule"]

_log = structlog.get_logger(__name__)

_USERS_FOR_STATES: Final = "get_users_for_states"
_INTERESTED_USERS: Final = "get_interested_users"
#: The most late calls of one module whose code has not ended. Of calls in time there may be more:
#: thousands of viewers who come at once are no fault of the module.
_MOST_UNENDED: Final = 100


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The limits for a module."""

    #: A later answer is lost.
    module_timeout: timedelta = timedelta(seconds=5)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)

    @property
    def longest_hold(self) -> timedelta:
        """For how long one call may hold the event loop, which stops the whole server."""
        return self.module_timeout / 10


class GuardedModule:
    """One registration of the two callbacks, behind a time-out, checks and a breaker."""

    def __init__(
        self,
        name: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
        *,
        clock: Clock,
        loop_time: LoopTime,
        metrics: Metrics,
        settings: GuardSettings,
    ) -> None:
        #: The module's class name, by which people know it.
        self.name = name
        self.reason = Module(name)
        self.health = ModuleHealth()
        self._get_users_for_states = get_users_for_states
        self._get_interested_users = get_interested_users
        self._clock = clock
        self._loop_time = loop_time
        self._metrics = metrics
        self._settings = settings
        self._breaker = Breaker(settings.breaker)
        self._alterations = Alterations()
        self._suspects = Suspects()
        self._said = LogLimit()
        #: How many late calls have not ended.
        self._unended = 0

    @property
    def alters(self) -> dict[UserId, set[UserId]]:
        """Viewer to the users whom this module alters for the viewer."""
        return self._alterations.by_viewer

    @property
    def is_paused(self) -> bool:
        """Whether the server does not call the module for a while."""
        return self._breaker.is_open

    @property
    def paused_until(self) -> Timestamp | None:
        """When the server calls a paused module again; None if it is not paused."""
        return self._breaker.paused_until

    @property
    def problem(self) -> str | None:
        """The module's last failure, for people; None if it has never failed."""
        last = self.health.last_failure
        return None if last is None else f"{last.callback}: {last.problem}"

    def reset(self) -> None:
        """End a pause: the server asks the module again at once."""
        self._breaker.succeeded()
        self._metrics.breaker(self.name, self._breaker.is_open)

    def users_for_states(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> "asyncio.Future[CheckedRoutes]":
        """Ask who else receives *states*; the future gets the valid part of the answer.

        If the server asks for certain *viewers*, everything that the answer has for them is read,
        however large the answer is.
        """
        answer: asyncio.Future[CheckedRoutes] = asyncio.get_running_loop().create_future()
        asked = {UserId(state.user_id): state for state in states}
        if not self._may_be_asked():
            unanswered = CheckedRoutes(unanswered=frozenset(asked))
            answer.set_result(self._alterations.completed(unanswered, asked.keys()))
            return answer

        def conclude(checked: CheckedRoutes, problems: Sequence[Problem]) -> None:
            self._alterations.learn(checked, asked)
            if not answer.done():
                answer.set_result(self._alterations.completed(checked, asked.keys()))
            self._judge(calls, problems)

        calls = self._calls(_USERS_FOR_STATES, tuple(asked))
        question = StatesQuestion(
            asked,
            viewers,
            callback=self._get_users_for_states,
            calls=calls,
            may_call=self._may_call,
            suspects=self._suspects,
            conclude=conclude,
        )
        question.begin()
        return answer

    def interested_users(self, viewer: UserId) -> "asyncio.Future[CheckedInterest]":
        """Ask whom *viewer* may see; the future gets the valid part of the answer."""
        answer: asyncio.Future[CheckedInterest] = asyncio.get_running_loop().create_future()
        if not self._may_be_asked():
            answer.set_result(CheckedInterest(failed=True))
            return answer

        def conclude(call: Call) -> None:
            checked = CheckedInterest(failed=True)
            if call.is_late:
                what = f"no answer within {calls.limit}"
                problem: Problem | None = Problem(TIMEOUT, what, calls.about)
            elif (problem := failure_of(call, calls.about)) is None:
                try:
                    checked = check_interest(call.task.result())
                except BaseException as failure:  # noqa: BLE001 - the answer is a module's object
                    problem = Problem(EXCEPTION, described(failure), calls.about, failure)
                if checked.faults:
                    problem = Problem(WRONG_ANSWER, "; ".join(checked.faults), calls.about)
            if not answer.done():
                answer.set_result(checked)
            self._judge(calls, [problem] if problem else [])

        calls = self._calls(_INTERESTED_USERS, (viewer,))
        self._may_call()
        calls.begin(partial(self._get_interested_users, viewer), conclude)
        return answer

    def _may_be_asked(self) -> bool:
        return self._unended < _MOST_UNENDED and self._breaker.admits(self._clock.now())

    def _may_call(self) -> bool:
        """Tell whether the module may be called once more, and count that call."""
        if self._unended >= _MOST_UNENDED:
            return False
        self.health.asked()
        return True

    def _calls(self, callback: str, about: tuple[UserId, ...]) -> Calls:
        return Calls(
            self.name,
            callback,
            about,
            clock=self._clock,
            loop_time=self._loop_time,
            limit=self._settings.module_timeout,
            ended=self._ended,
        )

    def _ended(self, calls: Calls, call: Call) -> None:
        if not call.is_late:
            return
        self._unended -= 1
        if blocked := self._blocked(calls):
            self._breaker.failed(self._clock.now())
            self._report(calls, [blocked])

    def _judge(self, calls: Calls, problems: Sequence[Problem]) -> None:
        """Report *problems*; only lost time counts as a failure for the breaker."""
        calls.close()
        self._unended += calls.late
        if calls.have_answered:
            elapsed = (self._clock.now() - calls.began) / 1000
            self._metrics.module_answered(self.name, calls.callback, elapsed)
            self.health.answered(elapsed)
        if blocked := self._blocked(calls):
            problems = [*problems, blocked]
        if calls.cost_time:
            self._breaker.failed(self._clock.now())
        elif calls.have_ended:
            self._breaker.succeeded()
        self._report(calls, problems)

    def _blocked(self, calls: Calls) -> Problem | None:
        """Return the problem if a call has held the event loop too long; None if time was lost
        already, which counts once.
        """
        if calls.cost_time or calls.longest_held <= self._settings.longest_hold:
            return None
        calls.cost_time = True
        what = f"held the event loop for {calls.longest_held}: nobody else could do anything"
        return Problem(BLOCKED, what, calls.about)

    def _report(self, calls: Calls, problems: Sequence[Problem]) -> None:
        """Count *problems*, and log those that were not logged lately."""
        now = self._clock.now()
        self._metrics.breaker(self.name, self._breaker.is_open)
        for problem in problems:
            self.health.failed(Failure(calls.callback, problem.kind, problem.what, now))
            self._metrics.module_failed(self.name, calls.callback, problem.kind)
        for same in alike(problems):
            left_out = self._said.admits((calls.callback, same[0].sort), now)
            if left_out is None:
                continue
            users = [user_id for problem in same for user_id in problem.users]
            _log.warning(
                "module failed",
                module=self.name,
                callback=calls.callback,
                users=", ".join(users[:3]),
                problem=same[0].what,
                paused=self._breaker.is_open,
                exc_info=same[0].cause,
                **({"left_out": left_out} if left_out else {}),
            )

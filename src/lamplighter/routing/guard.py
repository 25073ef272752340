"""One module's callbacks, called so that the module cannot hurt the server.

Whatever a callback does (raise, hang, answer nonsense), it costs that module's answer about those
whom it was asked about, and nothing else: a log line names module, callback and user, and a metric
counts it. Only what costs time, again and again, pauses the module: what a module raises is often
some user's doing, and no user may switch a module off for the others.
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
from lamplighter.routing.calls import Call, Calls, ModuleQuestion
from lamplighter.routing.health import Failure, ModuleHealth
from lamplighter.routing.loop_time import LoopTime
from lamplighter.routing.parts import Suspects
from lamplighter.routing.problems import (
    BLOCKED,
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
#: A module that has this many calls under way, given up or not, is not called again until one ends.
_MOST_UNENDED: Final = 100


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What a module is allowed."""

    #: A later answer is no answer.
    module_timeout: timedelta = timedelta(seconds=5)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)

    @property
    def longest_hold(self) -> timedelta:
        """For how long one call may hold the event loop, in which nobody else does anything."""
        return self.module_timeout / 10


class GuardedModule:
    """One registration of the two callbacks, behind time-out, checks and breaker."""

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
        self._unended = 0

    @property
    def alters(self) -> dict[UserId, set[UserId]]:
        """Viewers to whom this module shows something else than what is, and of whom."""
        return self._alterations.by_viewer

    @property
    def name(self) -> str:
        """The module's class name, as people know it."""
        return self.reason.name

    @property
    def is_paused(self) -> bool:
        """Whether the breaker holds the module back."""
        return self._breaker.is_open

    @property
    def paused_until(self) -> Timestamp | None:
        """When the breaker admits the next try; None while it holds nothing back."""
        return self._breaker.paused_until

    @property
    def problem(self) -> str | None:
        """How the module has failed last, for people; None while it has not."""
        last = self.health.last_failure
        return None if last is None else f"{last.callback}: {last.problem}"

    def reset(self) -> None:
        """Forget the failures so far: the module is asked again at once."""
        self._breaker.succeeded()
        self._metrics.breaker(self.name, self._breaker.is_open)

    def users_for_states(
        self, states: Sequence[UserPresenceState], viewers: AbstractSet[UserId] = frozenset()
    ) -> "asyncio.Future[CheckedRoutes]":
        """Ask who else is told of *states*; the future holds what is sound of the answer.

        Where it is for the sake of some *viewers*, all that is said to them is read, in any case.
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

        calls = self._calls(ModuleQuestion(_USERS_FOR_STATES, tuple(asked)))
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
        """Ask whom *viewer* may see; the future holds what is sound of the answer."""
        answer: asyncio.Future[CheckedInterest] = asyncio.get_running_loop().create_future()
        if not self._may_be_asked():
            answer.set_result(CheckedInterest(failed=True))
            return answer

        def conclude(call: Call) -> None:
            checked, problem = self._interest(call, viewer)
            if not answer.done():
                answer.set_result(checked)
            self._judge(calls, [problem] if problem else [])

        calls = self._calls(ModuleQuestion(_INTERESTED_USERS, (viewer,)))
        self._may_call()
        calls.begin(partial(self._get_interested_users, viewer), conclude)
        return answer

    def _interest(self, call: Call, viewer: UserId) -> tuple[CheckedInterest, Problem | None]:
        if call.is_late:
            problem = f"no answer within {self._settings.module_timeout}"
            return CheckedInterest(failed=True), Problem(TIMEOUT, problem, (viewer,))
        failure = failure_of(call, (viewer,))
        if failure is not None:
            return CheckedInterest(failed=True), failure
        checked = check_interest(call.task.result())
        if checked.faults:
            return checked, Problem(WRONG_ANSWER, "; ".join(checked.faults), (viewer,))
        return checked, None

    def _may_be_asked(self) -> bool:
        return self._unended < _MOST_UNENDED and self._breaker.admits(self._clock.now())

    def _may_call(self) -> bool:
        """Tell whether one more call may be made, and count it if so."""
        if self._unended >= _MOST_UNENDED:
            return False
        self._unended += 1
        self.health.asked()
        return True

    def _calls(self, question: ModuleQuestion) -> Calls:
        def ended(call: Call) -> None:
            self._unended -= 1
            if call.is_late and not calls.cost_time and self._has_blocked(calls):
                calls.cost_time = True
                self._breaker.failed(self._clock.now())
                self._say(question, [_blocking(calls)])

        calls = Calls(
            self.name,
            question,
            clock=self._clock,
            loop_time=self._loop_time,
            limit=self._settings.module_timeout,
            ended=ended,
        )
        return calls

    def _judge(self, calls: Calls, problems: Sequence[Problem]) -> None:
        """Say what was wrong; only the time that was lost is held against the module."""
        calls.close()
        if calls.have_answered:
            elapsed = (self._clock.now() - calls.began) / 1000
            self._metrics.module_answered(self.name, calls.question.callback, elapsed)
            self.health.answered(elapsed)
        if not calls.cost_time and self._has_blocked(calls):
            calls.cost_time = True
            problems = [*problems, _blocking(calls)]
        if calls.cost_time:
            self._breaker.failed(self._clock.now())
        elif calls.have_ended:
            self._breaker.succeeded()
        self._say(calls.question, problems)

    def _has_blocked(self, calls: Calls) -> bool:
        return calls.longest_held > self._settings.longest_hold

    def _say(self, question: ModuleQuestion, problems: Sequence[Problem]) -> None:
        """Count *problems*, and write to the log what it has not been told lately."""
        now = self._clock.now()
        self._metrics.breaker(self.name, self._breaker.is_open)
        for problem in problems:
            self.health.failed(Failure(question.callback, problem.kind, problem.what, now))
            self._metrics.module_failed(self.name, question.callback, problem.kind)
        for same in alike(problems):
            left_out = self._said.admits((question.callback, same[0].sort), now)
            if left_out is None:
                continue
            users = [user_id for problem in same for user_id in problem.users]
            _log.warning(
                "module failed",
                module=self.name,
                callback=question.callback,
                users=", ".join(users[:3]),
                problem=same[0].what,
                paused=self._breaker.is_open,
                exc_info=same[0].cause,
                **({"left_out": left_out} if left_out else {}),
            )


def _blocking(calls: Calls) -> Problem:
    what = f"held the event loop for {calls.longest_held}: nobody else could do anything"
    return Problem(BLOCKED, what, calls.question.about)

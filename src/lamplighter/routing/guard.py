"""One module's callbacks, called so that the module cannot hurt the server.

Whatever a callback does (raise, hang, answer nonsense), it costs that module's answer and
nothing else: a log line names module, callback and user, a metric counts it, and after repeated
failures the module is paused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

import structlog

from lamplighter.clock import Clock, Timestamp, after
from lamplighter.ids import UserId
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes, check_interest, check_routes
from lamplighter.routing.breaker import Breaker, BreakerSettings
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.containment import contained, described
from lamplighter.routing.health import Failure, ModuleHealth
from lamplighter.routing.reasons import Module

__all__ = ["GuardSettings", "GuardedModule", "Question"]

Checked = TypeVar("Checked", CheckedRoutes, CheckedInterest)

_log = structlog.get_logger(__name__)

_USERS_FOR_STATES: Final = "get_users_for_states"
_INTERESTED_USERS: Final = "get_interested_users"
#: So many viewers, and users for each, a module's alterations are remembered of.
_MOST_REMEMBERED: Final = 20_000
#: A module that has this many calls under way, given up or not, is not called again until one ends.
_MOST_UNENDED: Final = 100


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What a module is allowed."""

    #: A later answer is no answer.
    module_timeout: timedelta = timedelta(seconds=5)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


@dataclass(frozen=True, slots=True)
class Question:
    """Which callback is asked about whom, for the log."""

    callback: str
    about: str


class GuardedModule:
    """One registration of the two callbacks, behind time-out, checks and breaker."""

    def __init__(
        self,
        name: str,
        get_users_for_states: GetUsersForStates,
        get_interested_users: GetInterestedUsers,
        *,
        clock: Clock,
        metrics: Metrics,
        settings: GuardSettings,
    ) -> None:
        self.reason = Module(name)
        #: Viewers to whom this module shows something else than what is, and of whom.
        self.alters: dict[UserId, set[UserId]] = {}
        self.health = ModuleHealth()
        self._get_users_for_states = get_users_for_states
        self._get_interested_users = get_interested_users
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._breaker = Breaker(settings.breaker)
        self._unended = 0

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
        asked = {state.user_id: state for state in states}

        def check(answer: object) -> CheckedRoutes:
            checked = check_routes(answer, asked, viewers)
            self._remember_alterations(checked, asked)
            return checked

        # Every module gets a list of its own: one that changes it hurts only itself.
        call = partial(self._get_users_for_states, list(states))
        question = Question(_USERS_FOR_STATES, ", ".join(list(asked)[:3]))
        return self._ask(question, call, check, CheckedRoutes(failed=True))

    def interested_users(self, viewer: UserId) -> "asyncio.Future[CheckedInterest]":
        """Ask whom *viewer* may see; the future holds what is sound of the answer."""
        call = partial(self._get_interested_users, viewer)
        question = Question(_INTERESTED_USERS, viewer)
        return self._ask(question, call, check_interest, CheckedInterest(failed=True))

    def _ask(
        self,
        question: Question,
        call: Callable[[], Awaitable[object]],
        check: Callable[[object], Checked],
        nothing: Checked,
    ) -> "asyncio.Future[Checked]":
        """Return the future answer: *nothing* where the module is paused, fails or is late."""
        answer: asyncio.Future[Checked] = asyncio.get_running_loop().create_future()
        began = self._clock.now()
        if self._unended >= _MOST_UNENDED or not self._breaker.admits(began):
            answer.set_result(nothing)
            return answer
        self._unended += 1
        self.health.asked()
        task = asyncio.ensure_future(contained(call))

        def be_late() -> None:
            if not answer.done():
                answer.set_result(nothing)
                limit = self._settings.module_timeout
                self._failed(question, "timeout", f"no answer within {limit}")
                # It may refuse to end; nobody waits for it any more.
                task.cancel()

        timer = self._clock.call_at(after(began, self._settings.module_timeout), be_late)

        def conclude(done: "asyncio.Task[object]") -> None:
            self._unended -= 1
            timer.cancel()
            if answer.done():
                done.cancelled() or done.exception()  # seen: nobody else will look
                return
            try:
                checked = check(done.result())
            except BaseException as failure:  # noqa: BLE001 - a module's; somebody waits for it
                answer.set_result(nothing)
                self._failed(question, "exception", described(failure), failure)
            else:
                answer.set_result(checked)
                self._judge(question, checked.faults, began)

        task.add_done_callback(conclude)
        return answer

    def _judge(self, question: Question, faults: Sequence[str], began: Timestamp) -> None:
        elapsed = (self._clock.now() - began) / 1000
        self._metrics.module_answered(self.name, question.callback, elapsed)
        self.health.answered(elapsed)
        if faults:
            self._failed(question, "wrong answer", "; ".join(faults))
            return
        self._breaker.succeeded()
        self._metrics.breaker(self.name, self._breaker.is_open)

    def _failed(
        self, question: Question, kind: str, what: str, cause: BaseException | None = None
    ) -> None:
        now = self._clock.now()
        self._breaker.failed(now)
        self.health.failed(Failure(question.callback, kind, what, now))
        self._metrics.module_failed(self.name, question.callback, kind)
        self._metrics.breaker(self.name, self._breaker.is_open)
        _log.warning(
            "module failed",
            module=self.name,
            callback=question.callback,
            users=question.about,
            problem=what,
            paused=self._breaker.is_open,
            exc_info=cause,
        )

    def _remember_alterations(
        self, checked: CheckedRoutes, asked: Mapping[str, UserPresenceState]
    ) -> None:
        for viewer, states in checked.routes.items():
            for user_id, state in states.items():
                if state != asked.get(user_id, state):
                    self._remember(viewer, user_id)
                elif viewer in self.alters:
                    self._forget(viewer, user_id)

    def _remember(self, viewer: UserId, user_id: UserId) -> None:
        if len(self.alters) < _MOST_REMEMBERED or viewer in self.alters:
            users = self.alters.setdefault(viewer, set())
            if len(users) < _MOST_REMEMBERED:
                users.add(user_id)

    def _forget(self, viewer: UserId, user_id: UserId) -> None:
        users = self.alters[viewer]
        users.discard(user_id)
        if not users:
            del self.alters[viewer]

"""One question to a module's `get_users_for_states`, in one call or, where that fails, in several.

`parts.py` tells how the users of a failed call are split.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes, check_routes, is_answer
from lamplighter.routing.callbacks import GetUsersForStates
from lamplighter.routing.calls import Call, Calls
from lamplighter.routing.containment import described
from lamplighter.routing.parts import Part, Parts, Suspects
from lamplighter.routing.problems import EXCEPTION, TIMEOUT, WRONG_ANSWER, Problem, failure_of

__all__ = ["StatesQuestion"]

#: The most calls of one question at the same time.
_MOST_AT_ONCE: Final = 20

#: Gets the answer, and what is wrong with it.
Conclude = Callable[[CheckedRoutes, Sequence[Problem]], None]


class StatesQuestion:
    """One question about the states *asked*; *viewers* are as in `check_routes`."""

    def __init__(
        self,
        asked: Mapping[UserId, UserPresenceState],
        viewers: AbstractSet[UserId],
        *,
        callback: GetUsersForStates,
        calls: Calls,
        may_call: Callable[[], bool],
        suspects: Suspects,
        conclude: Conclude,
    ) -> None:
        self._asked = asked
        self._viewers = viewers
        self._callback = callback
        self._calls = calls
        self._may_call = may_call
        self._suspects = suspects
        self._conclude = conclude
        self._parts = Parts(asked, suspects)
        self._answers: list[tuple[Part, CheckedRoutes]] = []
        self._unanswered: list[UserId] = []
        self._late: list[UserId] = []
        self._problems: list[Problem] = []
        #: The problem of the first call whose users were split.
        self._broken: Problem | None = None

    def begin(self) -> None:
        """Begin as many calls as are allowed at the same time; the others follow as calls end."""
        while self._calls.under_way < _MOST_AT_ONCE and not self._calls.is_over:
            part = self._parts.take()
            if part is None:
                break
            if self._may_call():
                # Each call gets a new list: a module may change it.
                states = [self._asked[user_id] for user_id in part]
                self._calls.begin(partial(self._callback, states), partial(self._ended, part))
            else:
                self._unanswered += part
        if not self._calls.under_way:
            self._finish()

    def _ended(self, part: Part, call: Call) -> None:
        if call.is_late:
            self._late += part
        elif (problem := failure_of(call, part) or self._read(part, call)) is not None:
            self._failed(part, problem)
        self.begin()

    def _read(self, part: Part, call: Call) -> Problem | None:
        """Keep the answer about *part*; return the problem if nothing in it can be used."""
        asked = {user_id: self._asked[user_id] for user_id in part}
        try:
            checked = check_routes(call.task.result(), asked, self._viewers)
        except BaseException as failure:  # noqa: BLE001 - the objects in an answer are a module's
            return Problem(EXCEPTION, described(failure), part, failure)
        if not is_answer(call.task.result()):
            return Problem(WRONG_ANSWER, checked.faults[0], part)
        self._suspects.answered(part)
        self._answers.append((part, checked))
        if checked.faults:
            self._problems.append(Problem(WRONG_ANSWER, "; ".join(checked.faults), part))
        return None

    def _failed(self, part: Part, problem: Problem) -> None:
        self._suspects.failed(part)
        if self._parts.split(part):
            self._broken = self._broken or problem
            return
        self._unanswered += part
        if len(part) > 1:
            calls, left = self._parts.calls, len(part)
            what = f"{problem.what}; after {calls} calls, {left} users are left without an answer"
            problem = Problem(problem.kind, what, part, problem.cause)
        self._problems.append(problem)

    def _finish(self) -> None:
        self._late += self._parts.give_up()
        if self._late:
            what = f"no answer within {self._calls.limit}"
            self._problems.append(Problem(TIMEOUT, what, tuple(self._late)))
        if self._broken is not None and not self._problems:
            what = f"{self._broken.what}; asked about fewer users at a time, it answers"
            self._problems.append(
                Problem(self._broken.kind, what, self._broken.users, self._broken.cause)
            )
        unanswered = frozenset((*self._unanswered, *self._late))
        self._conclude(_joined(self._answers, unanswered), self._problems)


def _joined(
    answers: Sequence[tuple[Part, CheckedRoutes]], unanswered: frozenset[UserId]
) -> CheckedRoutes:
    """Return the answers about parts as one answer.

    A state of a user counts first from the call that was about this user.
    """
    if len(answers) == 1 and not unanswered:
        return answers[0][1]
    routes: dict[UserId, dict[UserId, UserPresenceState]] = {}
    withheld: dict[UserId, frozenset[UserId]] = {}
    for part, checked in answers:
        for viewer, states in checked.routes.items():
            seen = routes.setdefault(viewer, {})
            for user_id, state in states.items():
                if user_id in part or user_id not in seen:
                    seen[user_id] = state
        for viewer, users in checked.withheld.items():
            withheld[viewer] = withheld.get(viewer, frozenset()) | users
    every = [checked for _, checked in answers]
    return CheckedRoutes(
        routes,
        tuple(fault for it in every for fault in it.faults),
        tuple(note for it in every for note in it.notes),
        withheld,
        frozenset().union(*(it.torn for it in every)),
        any(it.is_cut for it in every),
        unanswered,
    )

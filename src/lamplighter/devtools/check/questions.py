"""The two questions to a module: who gets these states, and whom may this user see."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from lamplighter.devtools.check.findings import Callback
from lamplighter.devtools.check.words import answer_in_words, interest_in_words, question
from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes, check_interest, check_routes
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates

__all__ = ["AboutStates", "AboutUser", "Checked", "Question"]

Checked = TypeVar("Checked", CheckedRoutes, CheckedInterest)


class Question(Protocol[Checked]):
    """What is asked of one callback, and how its answers are read and written."""

    @property
    def callback(self) -> Callback:
        """Which callback is asked."""

    def ask(self) -> object:
        """Call it, and return what it returns."""

    def is_unharmed(self) -> bool:
        """Tell whether what the callback was given the last time is as it was."""

    def check(self, answer: object) -> Checked:
        """Return what is right in an answer, and what is not."""

    def write(self, checked: Checked) -> str:
        """Return an answer as people write it."""


class AboutStates:
    """The question who is told of these states."""

    callback = Callback.STATES

    def __init__(self, function: GetUsersForStates, states: Sequence[UserPresenceState]) -> None:
        self._function = function
        self._states = list(states)
        self._given = list(states)

    def __str__(self) -> str:
        return question(self._states)

    def ask(self) -> object:
        self._given = list(self._states)
        return self._function(self._given)

    def is_unharmed(self) -> bool:
        return self._given == self._states

    def check(self, answer: object) -> CheckedRoutes:
        return check_routes(answer, {UserId(it.user_id): it for it in self._states})

    def write(self, checked: CheckedRoutes) -> str:
        return answer_in_words(checked)


class AboutUser:
    """The question whom this user may see."""

    callback = Callback.INTEREST

    def __init__(self, function: GetInterestedUsers, user_id: str) -> None:
        self._function = function
        self._user_id = user_id

    def __str__(self) -> str:
        return question(self._user_id)

    def ask(self) -> object:
        return self._function(self._user_id)

    def is_unharmed(self) -> bool:
        return True  # a string cannot be changed

    def check(self, answer: object) -> CheckedInterest:
        return check_interest(answer)

    def write(self, checked: CheckedInterest) -> str:
        return interest_in_words(checked)

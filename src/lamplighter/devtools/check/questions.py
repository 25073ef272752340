"""The two questions to a module: who gets these states, and whom may this user see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lamplighter.devtools.check.findings import Callback
from lamplighter.devtools.check.words import answer_in_words, interest_in_words, question
from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes, check_interest, check_routes
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates

__all__ = ["CallbackQuestion", "Checked", "about_states", "about_user"]

Checked = TypeVar("Checked", CheckedRoutes, CheckedInterest)


@dataclass(frozen=True, slots=True)
class CallbackQuestion(Generic[Checked]):
    """A question to one callback."""

    callback: Callback
    #: The question as a call.
    text: str
    #: Calls the callback, and returns what the callback returns.
    ask: Callable[[], object]
    #: Returns what is sound of an answer, and its faults.
    check: Callable[[object], Checked]
    #: Returns an answer in words.
    write: Callable[[Checked], str]
    #: Tells whether the callback has left unchanged what it was given the last time.
    is_unharmed: Callable[[], bool]


def about_states(
    function: GetUsersForStates, states: Sequence[UserPresenceState]
) -> CallbackQuestion[CheckedRoutes]:
    """Return the question who gets these states."""
    given: list[UserPresenceState] = []
    asked = {UserId(state.user_id): state for state in states}

    def ask() -> object:
        nonlocal given
        given = list(states)
        return function(given)

    return CallbackQuestion(
        Callback.STATES,
        question(states),
        ask,
        lambda answer: check_routes(answer, asked),
        answer_in_words,
        lambda: given == list(states),
    )


def about_user(function: GetInterestedUsers, user_id: str) -> CallbackQuestion[CheckedInterest]:
    """Return the question whom this user may see."""
    return CallbackQuestion(
        Callback.INTEREST,
        question(user_id),
        lambda: function(user_id),
        check_interest,
        interest_in_words,
        lambda: True,  # a string cannot be changed
    )

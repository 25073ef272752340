"""Asks a module, and notes all faults of its answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from lamplighter.devtools.check.blocking import BlockingCall, LoopWatch
from lamplighter.devtools.check.check_log import CheckLog
from lamplighter.devtools.check.findings import Callback, Finding, Kind, Place
from lamplighter.devtools.check.simulation import Simulation
from lamplighter.devtools.check.waiting import NoAnswer, NotAsync, WaitLimits, answered
from lamplighter.devtools.check.words import (
    answer_in_words,
    interest_in_words,
    place_of,
    place_of_error,
    question_in_words,
)
from lamplighter.ids import UserId
from lamplighter.modules.loader import ModuleStyle
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes, check_interest, check_routes
from lamplighter.routing.callbacks import GetInterestedUsers, GetUsersForStates
from lamplighter.routing.containment import described

__all__ = ["Questioner", "callback_place"]

Checked = TypeVar("Checked", CheckedRoutes, CheckedInterest)

_BLOCKED: Final = "while it does, nobody's presence moves; `await api.defer_to_thread(…)` does not"


@dataclass(frozen=True, slots=True)
class _Question(Generic[Checked]):
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


class Questioner:
    """Asks the module of a simulation each question twice: the two answers must be equal."""

    def __init__(
        self,
        simulation: Simulation,
        watch: LoopWatch,
        log: CheckLog,
        limits: WaitLimits,
        files: Sequence[str],
    ) -> None:
        self._simulation = simulation
        self._watch = watch
        self._log = log
        self._limits = limits
        self._files = files

    async def routes(self, states: Sequence[UserPresenceState]) -> CheckedRoutes:
        """Return the recipients of *states*, as far as the answer is sound."""
        await self._simulation.announce(states)
        routes: dict[UserId, dict[UserId, UserPresenceState]] = {}
        for registered in self._simulation.registrations:
            question = _about_states(registered.get_users_for_states, states)
            answer = await self._twice(question, CheckedRoutes())
            for viewer, sent in answer.routes.items():
                routes.setdefault(viewer, {}).update(sent)
        return CheckedRoutes(routes)

    async def interest(self, user_id: UserId) -> CheckedInterest:
        """Return whom the user may see, as far as the answer is sound."""
        named: set[UserId] = set()
        all_users = False
        for registered in self._simulation.registrations:
            question = _about_user(registered.get_interested_users, user_id)
            answer = await self._twice(question, CheckedInterest())
            named |= answer.named
            all_users |= answer.all_users
        return CheckedInterest(frozenset(named), all_users)

    async def _twice(self, question: _Question[Checked], nothing: Checked) -> Checked:
        first = await self._once(question)
        second = await self._once(question) if first is not None else None
        if first is None or second is None:
            return nothing
        if first != nothing:
            self._log.have_named.add(question.callback)
        if first != second:
            self._note(
                question,
                Kind.NOT_DETERMINISTIC,
                "answers the same question, asked twice in the same moment, with different things",
                details=[f"first: {question.write(first)}", f"then:  {question.write(second)}"],
            )
        return first

    async def _once(self, question: _Question[Checked]) -> Checked | None:
        """Return what is sound of one answer, or None where there is no answer."""
        began = self._simulation.clock.now()
        answer = await self._answer(question)
        taken, blocked = self._watch.take()
        waited = timedelta(milliseconds=self._simulation.clock.now() - began)
        self._log.took(question.callback, waited + timedelta(microseconds=taken / 1000))
        if waited:
            self._log.wait_for_time.add(question.callback)
        for it in blocked:
            message = f"blocks the event loop: it {it.what}"
            self._note(question, Kind.BLOCKS, message, place=it.place, details=[_BLOCKED])
            self._log.is_stuck |= it.took_time
        if not question.is_unharmed():
            message = "changes the list that it is given"
            self._note(question, Kind.CHANGES_INPUT, message)
        return answer

    async def _answer(self, question: _Question[Checked]) -> Checked | None:
        clock, callback = self._simulation.clock, question.callback
        module = self._simulation.module.name
        at_once = callback in self._log.wait_for_time
        try:
            answer = await answered(
                module, question.ask, self._watch, clock, self._limits, at_once=at_once
            )
        except BlockingCall:
            return None  # the watch has noted the call
        except NotAsync as error:
            self._note(question, Kind.NOT_ASYNC, f"is not async: {error}")
        except NoAnswer as error:
            self._note(question, Kind.NO_ANSWER, f"waits for what does not come: {error}")
            self._log.is_stuck = True
        except BaseException as error:  # noqa: BLE001 - the module's own, whatever it is
            place = place_of_error(error, *self._files)
            self._note(question, Kind.RAISES, f"raises {described(error)}", place=place)
        else:
            return self._sound(question, question.check(answer))
        return None

    def _sound(self, question: _Question[Checked], checked: Checked) -> Checked:
        if checked.faults:
            message = "answers with what the server cannot use"
            faults = (*checked.faults, *checked.notes)
            self._note(question, Kind.WRONG_ANSWER, message, details=faults)
        elif checked.notes:
            message = "answers with what the server leaves out"
            self._note(question, Kind.LEFT_OUT, message, details=checked.notes)
        return checked

    def _note(
        self,
        question: _Question[Checked],
        kind: Kind,
        message: str,
        *,
        place: Place | None = None,
        details: Sequence[str] = (),
    ) -> None:
        callback = question.callback
        place = place or callback_place(self._simulation, callback)
        details = (f"asked: {question.text}", *details)
        self._log.note(Finding(kind, f"{callback} {message}", callback, place, details))


def _about_states(
    function: GetUsersForStates, states: Sequence[UserPresenceState]
) -> _Question[CheckedRoutes]:
    """Return the question who gets these states."""
    given: list[UserPresenceState] = []
    asked = {UserId(state.user_id): state for state in states}

    def ask() -> object:
        nonlocal given
        given = list(states)
        return function(given)

    return _Question(
        Callback.STATES,
        question_in_words(states),
        ask,
        lambda answer: check_routes(answer, asked),
        answer_in_words,
        lambda: given == list(states),
    )


def _about_user(function: GetInterestedUsers, user_id: str) -> _Question[CheckedInterest]:
    """Return the question whom this user may see."""
    return _Question(
        Callback.INTEREST,
        question_in_words(user_id),
        lambda: function(user_id),
        check_interest,
        interest_in_words,
        lambda: True,  # a string cannot be changed
    )


def callback_place(simulation: Simulation, callback: Callback) -> Place | None:
    """Return where the module's callback is defined: its first, if it has registered several."""
    module = simulation.module
    if module.entry.style is ModuleStyle.ROUTER:
        # The loader has wrapped the method; the author looks for the method itself.
        found = getattr(module.instance, callback, None)
    else:
        registered = next(iter(simulation.registrations), None)
        found = getattr(registered, callback, None)
    return place_of(found) if found is not None else None

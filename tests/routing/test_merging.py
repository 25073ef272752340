"""Merging the answers of several modules."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import UserId
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedRoutes
from lamplighter.routing.merging import Conflict, Merging
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import Module
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state

ONE, TWO, THREE = Module("One"), Module("Two"), Module("Three")
BOBS = state(BOB, "the truth")
CHARLIES = state(CHARLIE, "at work")
ABOUT = {BOB: BOBS, CHARLIE: CHARLIES}
SILENT = state(BOB)
AWAY = state(BOB, "away")

#: A module, and what it sends by viewer and user; None is withheld.
Answer: TypeAlias = tuple[Module, Mapping[tuple[UserId, UserId], UserPresenceState | None]]


def checked(sent: Mapping[tuple[UserId, UserId], UserPresenceState | None]) -> CheckedRoutes:
    """Return the answer that sends these states."""
    routes: dict[UserId, dict[UserId, UserPresenceState]] = {}
    withheld: dict[UserId, frozenset[UserId]] = {}
    for (viewer, user_id), it in sent.items():
        if it is None:
            withheld[viewer] = withheld.get(viewer, frozenset()) | {user_id}
        else:
            routes.setdefault(viewer, {})[user_id] = it
    return CheckedRoutes(routes, withheld=withheld)


def merged(answers: Iterable[Answer]) -> Merging:
    """Return the answers, merged in this order."""
    merging = Merging(ABOUT)
    for module, sent in answers:
        merging.add(module, {}, checked(sent))
    return merging


def sent_to_alice(*states: UserPresenceState | None) -> Merging:
    """Return the result if One, Two and Three send these states of bob to alice."""
    pairs = zip((ONE, TWO, THREE), states, strict=False)
    return merged((module, {(ALICE, BOB): it}) for module, it in pairs)


def test_the_same_alteration() -> None:
    """Modules that alter a state in the same way are all named as altering it."""
    assert sent_to_alice(SILENT, BOBS, SILENT).routes == {
        ALICE: {BOB: Route(SILENT, (ONE, TWO, THREE), (ONE, THREE))}
    }
    merging = sent_to_alice(SILENT, AWAY, SILENT)
    assert merging.routes == {ALICE: {BOB: Route(SILENT, (ONE, TWO, THREE), (ONE, THREE), (TWO,))}}


def test_conflicts() -> None:
    """Two modules that alter a state in different ways are a conflict; the later one decides."""
    merging = sent_to_alice(SILENT, AWAY, BOBS)
    assert merging.routes == {ALICE: {BOB: Route(AWAY, (ONE, TWO, THREE), (TWO,), (ONE,))}}
    assert list(merging.conflicts.values()) == [Conflict("Two", "One", ALICE, BOB)]
    assert sent_to_alice(BOBS, AWAY, BOBS).conflicts == {}


def test_withheld() -> None:
    """A withheld state is not replaced by the real one, but by a later module's altered one."""
    assert sent_to_alice(None, BOBS).routes == {ALICE: {BOB: Route(None, (TWO,), (ONE,))}}
    assert sent_to_alice(BOBS, None).routes == {ALICE: {BOB: Route(None, (ONE,), (TWO,))}}
    assert sent_to_alice(None, AWAY).routes == {ALICE: {BOB: Route(AWAY, (TWO,), (TWO,))}}
    assert sent_to_alice(AWAY, None).routes == {ALICE: {BOB: Route(None, (ONE,), (TWO,))}}
    assert sent_to_alice(AWAY, None).conflicts == {}


def test_a_user_of_whom_no_module_was_asked() -> None:
    """A module that usually alters such a user counts as altering the user."""
    merging = Merging(ABOUT)
    doras, hers = state(DORA, "hidden"), state(DORA, "shown")
    merging.add(ONE, {ALICE: {DORA}}, checked({(ALICE, DORA): doras}))
    merging.add(TWO, {}, checked({(ALICE, DORA): hers}))
    assert merging.routes == {ALICE: {DORA: Route(doras, (ONE, TWO), (ONE,))}}


def test_an_old_copy() -> None:
    """A state from an earlier batch counts as altered: it cannot be told from an altered one."""
    assert sent_to_alice(SILENT, state(BOB, "earlier")).conflicts != {}


SENT = st.dictionaries(
    st.tuples(st.sampled_from([ALICE, DORA]), st.sampled_from([BOB, CHARLIE])),
    st.sampled_from(["as it is", "silent", "away", "withheld"]),
)


def _state(user_id: UserId, how: str) -> UserPresenceState | None:
    altered = {"silent": None, "away": "away"}
    if how == "withheld":
        return None
    original = ABOUT[user_id]
    return original if how == "as it is" else original.copy_and_replace(status_msg=altered[how])


def _model(answers: Sequence[Answer], viewer: UserId, user_id: UserId) -> object:
    """Return what the viewer gets about the user, in the slow and obvious way."""
    said = [sent[viewer, user_id] for _, sent in answers if (viewer, user_id) in sent]
    altered = [it for it in said if it != ABOUT[user_id]]
    return (altered or said)[-1] if said else "nothing is said"


def _altering(answer: Answer) -> bool:
    return any(it != ABOUT[user_id] for (_, user_id), it in answer[1].items())


@given(st.lists(SENT, max_size=4))
def test_the_order_of_those_that_do_not_alter(
    all_sent: list[dict[tuple[UserId, UserId], str]],
) -> None:
    """The result is that of the model, wherever in the order modules stand that alter nothing."""
    answers: list[Answer] = [
        (Module(f"M{at}"), {(v, u): _state(u, how) for (v, u), how in sent.items()})
        for at, sent in enumerate(all_sent)
    ]
    for order in itertools.permutations(answers):
        told = {
            (viewer, user_id): route.state
            for viewer, seen in merged(order).routes.items()
            for user_id, route in seen.items()
        }
        pairs: AbstractSet[tuple[UserId, UserId]] = {pair for _, sent in answers for pair in sent}
        assert told == {pair: _model(order, *pair) for pair in pairs}
        if list(filter(_altering, order)) == list(filter(_altering, answers)):
            assert told == {pair: _model(answers, *pair) for pair in pairs}

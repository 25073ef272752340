"""What is right in a module's answer, and what is not."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.ids import UserId, is_user_id
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.answers import (
    CheckedInterest,
    CheckedRoutes,
    check_interest,
    check_routes,
    is_answer,
)
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state

BOBS = state(BOB, "brb")
CHARLIES = state(CHARLIE)
EVE = UserId("@eve:demo")
ASKED: dict[UserId, UserPresenceState] = {BOB: BOBS, CHARLIE: CHARLIES}


class UnknownKind:
    pass


def test_a_sound_answer() -> None:
    """A dict of sets of states, of users asked about or not, local or not, is taken as it is."""
    hidden = BOBS.copy_and_replace(status_msg=None)
    other = UserPresenceState.default(EVE)
    answer = {ALICE: {BOBS, CHARLIES, other}, DORA: frozenset({hidden})}
    assert check_routes(answer, ASKED) == CheckedRoutes(
        {ALICE: {BOB: BOBS, CHARLIE: CHARLIES, EVE: other}, DORA: {BOB: hidden}}
    )


@pytest.mark.parametrize("answer", [{}, defaultdict(set), {ALICE: set()}])
def test_no_routes(answer: object) -> None:
    """An empty answer, and an empty set, send nothing and are no fault."""
    assert check_routes(answer, ASKED) == CheckedRoutes()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ([ALICE], "a list"),
        ({ALICE}, "a set"),
        ("ALL", "a str"),
        (7, "a int"),
        (UnknownKind(), "a UnknownKind"),
        (CheckedRoutes, "a type"),
    ],
)
def test_no_dict(answer: object, kind: str) -> None:
    """What is no dict sends nothing, and the fault names what it is."""
    fault = f"returned {kind} instead of a dict"
    assert check_routes(answer, ASKED) == CheckedRoutes(faults=(fault,))


@pytest.mark.parametrize(
    ("viewer", "states", "fault"),
    [
        (7, {BOBS}, "7 is not a user ID"),
        (DORA, [BOBS], f"the value of {DORA} is a list instead of a set"),
        (DORA, BOBS, f"the value of {DORA} is a UserPresenceState instead of a set"),
        (DORA, {BOB: BOBS}, f"the value of {DORA} is a dict instead of a set"),
    ],
)
def test_a_wrong_entry(viewer: object, states: object, fault: str) -> None:
    """A wrong key or value costs that entry; the others stand."""
    answer = {viewer: states, ALICE: {BOBS}}
    torn = frozenset({DORA}) if viewer == DORA else frozenset()
    assert check_routes(answer, ASKED) == CheckedRoutes({ALICE: {BOB: BOBS}}, (fault,), torn=torn)


@pytest.mark.parametrize(
    ("viewer", "states", "note"),
    [
        (None, {BOBS}, "None is not a user ID"),
        (DORA, {None}, f"in the set of {DORA}: None"),
        ("bob", {BOBS}, "'bob' is not a user ID"),
        ("@🛒:vel.example", {BOBS}, "'@🛒:vel.example' is not a user ID"),
        ("x" * 100, {BOBS}, f"{('x' * 100)!r:.80} is not a user ID"),
        (DORA, None, f"the value of {DORA} is None instead of a set"),
        (DORA, {state("@🛒:vel.example")}, "'@🛒:vel.example' is not a user ID"),
    ],
)
def test_what_is_left_out(viewer: object, states: object, note: str) -> None:
    """A None for a set is an empty one, and a user ID that cannot be is left out: no fault."""
    answer = {viewer: states, ALICE: {BOBS}}
    assert check_routes(answer, ASKED) == CheckedRoutes({ALICE: {BOB: BOBS}}, notes=(note,))


def test_none() -> None:
    """A callback that returns nothing has answered with nothing: no fault."""
    routes = CheckedRoutes(notes=("returned None instead of a dict",))
    assert check_routes(None, ASKED) == routes
    interest = CheckedInterest(notes=("returned None instead of a set",))
    assert check_interest(None) == interest
    possible: list[object] = [None, {}, [], "ALL", 7]
    assert [is_answer(it) for it in possible] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (7, "a int instead of a UserPresenceState"),
        (BOB, "a str instead of a UserPresenceState"),
        (state(BOB, presence="away"), "'away' is not a presence"),
        (BOBS.copy_and_replace(state=None), "None is not a presence"),
        (BOBS.copy_and_replace(last_active_ts="1"), f"last_active_ts of {BOB} is a str"),
        (BOBS.copy_and_replace(last_active_ts=1.5), f"last_active_ts of {BOB} is a float"),
        (BOBS.copy_and_replace(last_active_ts=True), f"last_active_ts of {BOB} is a bool"),
        (
            BOBS.copy_and_replace(last_federation_update_ts=None),
            f"last_federation_update_ts of {BOB} is None",
        ),
        (BOBS.copy_and_replace(last_user_sync_ts=b""), f"last_user_sync_ts of {BOB} is a bytes"),
        (BOBS.copy_and_replace(status_msg=b"brb"), f"status_msg of {BOB} is a bytes"),
        (
            BOBS.copy_and_replace(status_msg="\ud83d"),
            f"status_msg of {BOB} holds half of a surrogate pair",
        ),
        (
            BOBS.copy_and_replace(status_msg="é" * 600),
            f"status_msg of {BOB} is longer than 1024 bytes",
        ),
        (BOBS.copy_and_replace(currently_active=1), f"currently_active of {BOB} is a int"),
    ],
)
def test_a_wrong_state(wrong: object, fault: str) -> None:
    """A wrong thing in a set, or a state with a wrong field, costs itself; its neighbours stand."""
    fault = f"in the set of {ALICE}: {fault}"
    is_state = isinstance(wrong, UserPresenceState)
    assert check_routes({ALICE: {wrong, CHARLIES}}, ASKED) == CheckedRoutes(
        {ALICE: {CHARLIE: CHARLIES}},
        (fault,),
        withheld={ALICE: frozenset({BOB})} if is_state else {},
        torn=frozenset() if is_state else frozenset({ALICE}),
    )


def test_a_wrong_state_beside_what_is() -> None:
    """Of whom a viewer is sent a state that cannot be used, they are sent nothing else either."""
    too_long = BOBS.copy_and_replace(status_msg="x" * 4097)
    checked = check_routes({ALICE: {too_long, BOBS}, DORA: {BOBS}}, ASKED)
    assert checked.routes == {DORA: {BOB: BOBS}}
    assert checked.withheld == {ALICE: frozenset({BOB})}


def test_a_state_of_nobody() -> None:
    """A state whose user ID is no text is wrong, and nobody's."""
    wrong = UserPresenceState(7, "online", 1, 1, 1, None, True)  # type: ignore[arg-type] # a module's
    assert check_routes({ALICE: {wrong}}, ASKED) == CheckedRoutes(faults=("7 is not a user ID",))


def test_a_set_without_sound_states() -> None:
    """A viewer for whom nothing sound is left stands in no route."""
    assert check_routes({ALICE: {7}}, ASKED).routes == {}


def test_faults_are_few() -> None:
    """At most ten faults are told, however many there are."""
    answer: dict[object, object] = {number: {BOBS} for number in range(25)}
    faults = tuple(f"{number} is not a user ID" for number in range(10))
    assert check_routes(answer, ASKED) == CheckedRoutes(faults=faults)
    assert len(check_interest(set(range(25))).faults) == 10


def test_notes_are_few() -> None:
    """At most ten of what was left out are told, however many there are."""
    answer = {f"nobody {number}": {BOBS} for number in range(25)}
    notes = tuple(f"'nobody {number}' is not a user ID" for number in range(10))
    assert check_routes(answer, ASKED) == CheckedRoutes(notes=notes)
    assert len(check_interest(set(answer)).notes) == 10


@pytest.mark.parametrize(
    ("states", "chosen"),
    [
        ({BOBS, state(BOB, "other")}, state(BOB, "other")),
        ({BOBS, state(BOB, "other", active=1)}, state(BOB, "other", active=1)),
        ({state(BOB, "a", active=1), state(BOB, "b", active=2)}, state(BOB, "b", active=2)),
        ({state(BOB, "a"), state(BOB, "b"), BOBS}, state(BOB, "b")),
    ],
)
def test_two_states_of_one_user(states: set[UserPresenceState], chosen: UserPresenceState) -> None:
    """Of several states of a user in one set an altered one counts, then the latest, always."""
    assert check_routes({ALICE: states}, ASKED) == CheckedRoutes({ALICE: {BOB: chosen}})


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_the_choice_does_not_depend_on_order(order: tuple[str, ...]) -> None:
    """A set has no order, so none shows in the choice."""
    states = {state(BOB, text) for text in order}
    assert check_routes({ALICE: states}, ASKED).routes == {ALICE: {BOB: state(BOB, "c")}}


def test_all_users() -> None:
    """`PRESENCE_ALL_USERS` is the plain string "ALL"."""
    assert check_interest("ALL") == CheckedInterest(all_users=True)


@pytest.mark.parametrize("answer", [set(), {BOB, DORA}, frozenset({BOB})])
def test_named_users(answer: set[UserId]) -> None:
    """A set of user IDs names these users."""
    assert check_interest(answer) == CheckedInterest(frozenset(answer))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ([BOB], "a list"),
        (BOB, "a str"),
        ("all", "a str"),
        (b"ALL", "a bytes"),
        ({BOB: 1}, "a dict"),
        (True, "a bool"),
        ((BOB,), "a tuple"),
    ],
)
def test_no_set(answer: object, kind: str) -> None:
    """What is neither a set nor "ALL" names nobody, and the fault says what it is."""
    fault = f"returned {kind} instead of a set or PRESENCE_ALL_USERS"
    assert check_interest(answer) == CheckedInterest(faults=(fault,))


@pytest.mark.parametrize("wrong", [7, b"@bob:demo", 8.5])
def test_a_wrong_name(wrong: object) -> None:
    """A thing in the set that is no text costs itself; the others are named."""
    fault = f"{wrong!r:.80} is not a user ID"
    assert check_interest({wrong, BOB}) == CheckedInterest(frozenset({BOB}), faults=(fault,))


@pytest.mark.parametrize("name", [None, "bob", "@🛒:vel.example", "ALL", "", "@x:y z"])
def test_a_name_that_cannot_be(name: object) -> None:
    """None, or a text that is no user ID, is left out, and no fault; the others are named."""
    note = f"{name!r} is not a user ID"
    assert check_interest({name, BOB}) == CheckedInterest(frozenset({BOB}), notes=(note,))


class Hostile(dict[object, object]):
    """A dict that does as it likes."""

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("not today")

    def items(self) -> Any:
        raise RuntimeError("not today")

    def __len__(self) -> int:
        raise RuntimeError("not today")


class HostileSet(set[object]):
    """A set that does as it likes."""

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("not today")


class HostileText(str):
    """Text that cannot be hashed, once it has got in."""

    __slots__ = ()


class HostileState(UserPresenceState, frozen=True):
    """A state of a module's own kind."""


def test_an_answer_that_fights_back() -> None:
    """What a subclass of dict or set says of itself does not matter, only what is in it."""
    answer = Hostile({ALICE: HostileSet([BOBS])})
    assert check_routes(answer, ASKED) == CheckedRoutes({ALICE: {BOB: BOBS}})
    assert check_interest(HostileSet([BOB])) == CheckedInterest(frozenset({BOB}))


def test_only_exact_types_pass() -> None:
    """A subclass of text or of a state is refused: it might raise wherever it is compared."""
    states = HostileState(*msgspec.structs.astuple(BOBS))
    assert check_routes({ALICE: {states}}, ASKED).routes == {}
    assert check_routes({HostileText(ALICE): {BOBS}}, ASKED).routes == {}
    assert check_interest({HostileText(BOB)}).named == frozenset()


def test_for_the_sake_of_some() -> None:
    """What is said to viewers for whose sake it was asked is read, however much others are told;
    of the others, what is altered for them, for that is remembered.
    """
    crowd: dict[object, object] = {f"@u{number}:demo": {BOBS} for number in range(60_000)}
    altered = BOBS.copy_and_replace(status_msg="hidden")
    answer = {**crowd, ALICE: {BOBS}, CHARLIE: {BOBS, altered}}
    answer |= {DORA: "nonsense", 7: {altered}}
    assert check_routes(answer, ASKED, {ALICE, DORA}) == CheckedRoutes(
        {ALICE: {BOB: BOBS}, CHARLIE: {BOB: altered}},
        (f"the value of {DORA} is a str instead of a set", "7 is not a user ID"),
        torn=frozenset({DORA}),
    )


def test_an_answer_about_many() -> None:
    """The more users an answer is about, the more it may say: each may have many viewers."""
    told = {BOBS, state(CHARLIE)}
    answer = {f"@u{number}:demo": told for number in range(30_000)}
    checked = check_routes(answer, {UserId(it.user_id): it for it in told})
    assert (len(checked.routes), checked.faults) == (30_000, ())
    cut = check_routes(answer, {BOB: BOBS})
    assert (cut.faults, cut.is_cut) == (("more than 50000 states; the rest was not read",), True)


def test_an_answer_without_end() -> None:
    """Beyond a number of entries nothing is read, and the fault says so."""
    named = {f"@u{number}:demo" for number in range(50_001)}
    checked = check_interest(named)
    assert (len(checked.named) <= 50_001, checked.faults) == (
        True,
        ("more than 50000 users; the rest was not read",),
    )


user_ids = st.sampled_from([ALICE, BOB, CHARLIE, DORA, "bob", "", "@x:y z", "\ud800"])
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    user_ids,
    st.dates(),
    st.just(UnknownKind),
    st.tuples(st.integers(), st.text()),
)
states = st.builds(
    UserPresenceState,
    *(anything | sound for sound in (user_ids, st.sampled_from([*Presence, "online", "busy"]))),
    *[anything | st.integers(0, 10**15)] * 3,
    anything | st.text(),
    anything | st.booleans(),
)
members = anything | states | st.sampled_from([BOBS, CHARLIES])
answers = st.one_of(
    anything,
    states,
    st.lists(members),
    st.frozensets(members),
    st.dictionaries(anything, anything | st.frozensets(members) | st.lists(members)),
)


def is_sound(it: Any) -> bool:
    """Tell whether a state is one that can be told to a client."""
    numbers = (it.last_active_ts, it.last_federation_update_ts, it.last_user_sync_ts)
    return it in ASKED.values() or (
        is_user_id(it.user_id)
        and it.state in list(Presence)
        and all(type(number) is int for number in numbers)
        and (it.status_msg is None or bool(it.status_msg.encode()) or it.status_msg == "")
        and type(it.currently_active) is bool
    )


@given(answers)
def test_any_answer_of_states(answer: object) -> None:
    """Whatever Python objects are answered, nothing raises, and what is left is sound."""
    checked = check_routes(answer, ASKED)
    for viewer, told in checked.routes.items():
        assert is_user_id(viewer)
        assert {user_id: it.user_id for user_id, it in told.items()} == {it: it for it in told}
        assert all(is_sound(it) for it in told.values())
        assert told
    assert len(checked.faults) <= 10
    for viewer, users in checked.withheld.items():
        assert not users & checked.routes.get(viewer, {}).keys()


@given(answers)
def test_any_answer_of_names(answer: object) -> None:
    """Whatever Python objects are answered, nothing raises, and only user IDs are named."""
    checked = check_interest(answer)
    assert all(is_user_id(name) for name in checked.named)
    assert checked.all_users == (answer == "ALL")
    assert not (checked.all_users and checked.named)

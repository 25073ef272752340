"""The valid part of a module's answer, and the faults of the rest."""

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
    """A dict of sets of states is valid, of users asked about or not, local or not."""
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
        ((BOB,), "a tuple"),
        ("all", "a str"),
        (b"ALL", "a bytes"),
        (7, "a int"),
        (True, "a bool"),
        (UnknownKind(), "a UnknownKind"),
        (CheckedRoutes, "a type"),
    ],
)
def test_an_answer_of_a_wrong_type(answer: object, kind: str) -> None:
    """An answer of another type has no routes and no names; the fault tells the type."""
    fault = f"returned {kind} instead of a dict"
    assert check_routes(answer, ASKED) == CheckedRoutes(faults=(fault,))
    fault = f"returned {kind} instead of a set or PRESENCE_ALL_USERS"
    assert check_interest(answer) == CheckedInterest(faults=(fault,))


def test_the_answers_are_not_mistaken_for_each_other() -> None:
    """A set is no answer of one callback, and a dict none of the other."""
    assert check_routes({ALICE}, ASKED).faults == ("returned a set instead of a dict",)
    wrong = "returned a dict instead of a set or PRESENCE_ALL_USERS"
    assert check_interest({BOB: 1}).faults == (wrong,)


ODD = "@🛒:vel.example"


@pytest.mark.parametrize(
    ("viewer", "states", "fault", "note"),
    [
        (7, {BOBS}, "7 is not a user ID", None),
        (DORA, [BOBS], f"the value of {DORA} is a list instead of a set", None),
        (DORA, BOBS, f"the value of {DORA} is a UserPresenceState instead of a set", None),
        (DORA, {BOB: BOBS}, f"the value of {DORA} is a dict instead of a set", None),
        (None, {BOBS}, None, "None is not a user ID"),
        (DORA, {None}, None, f"in the set of {DORA}: None"),
        ("bob", {BOBS}, None, "'bob' is not a user ID"),
        (ODD, {BOBS}, None, f"'{ODD}' is not a user ID"),
        ("x" * 100, {BOBS}, None, f"{('x' * 100)!r:.80} is not a user ID"),
        (DORA, None, None, f"the value of {DORA} is None instead of a set"),
        (DORA, {state(ODD)}, None, f"'{ODD}' is not a user ID"),
    ],
)
def test_a_wrong_entry(viewer: object, states: object, fault: str | None, note: str | None) -> None:
    """A wrong entry is dropped and the others count. None and malformed IDs are no faults."""
    answer = {viewer: states, ALICE: {BOBS}}
    assert check_routes(answer, ASKED) == CheckedRoutes(
        {ALICE: {BOB: BOBS}},
        (fault,) if fault else (),
        (note,) if note else (),
        torn=frozenset({DORA}) if fault and viewer == DORA else frozenset(),
    )


def test_none() -> None:
    """None is an empty answer and no fault."""
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
        ({"state": "away"}, "'away' is not a presence"),
        ({"state": None}, "None is not a presence"),
        ({"last_active_ts": "1"}, f"last_active_ts of {BOB} is a str"),
        ({"last_active_ts": 1.5}, f"last_active_ts of {BOB} is a float"),
        ({"last_active_ts": True}, f"last_active_ts of {BOB} is a bool"),
        ({"last_federation_update_ts": None}, f"last_federation_update_ts of {BOB} is None"),
        ({"last_user_sync_ts": b""}, f"last_user_sync_ts of {BOB} is a bytes"),
        ({"status_msg": b"brb"}, f"status_msg of {BOB} is a bytes"),
        ({"status_msg": "\ud83d"}, f"status_msg of {BOB} holds half of a surrogate pair"),
        ({"status_msg": "é" * 600}, f"status_msg of {BOB} is longer than 1024 bytes"),
        ({"currently_active": 1}, f"currently_active of {BOB} is a int"),
    ],
)
def test_a_wrong_state(wrong: object, fault: str) -> None:
    """A wrong object in a set, and a state with a wrong field, are dropped; the others count.

    The user of a wrong state is withheld from the viewer.
    """
    is_state = isinstance(wrong, dict)
    member = BOBS.copy_and_replace(**wrong) if isinstance(wrong, dict) else wrong
    assert check_routes({ALICE: {member, CHARLIES}}, ASKED) == CheckedRoutes(
        {ALICE: {CHARLIE: CHARLIES}},
        (f"in the set of {ALICE}: {fault}",),
        withheld={ALICE: frozenset({BOB})} if is_state else {},
        torn=frozenset() if is_state else frozenset({ALICE}),
    )


def test_a_wrong_state_beside_the_real_one() -> None:
    """If one state of a user is wrong, the viewer gets no other state of this user either."""
    too_long = BOBS.copy_and_replace(status_msg="x" * 4097)
    checked = check_routes({ALICE: {too_long, BOBS}, DORA: {BOBS}}, ASKED)
    assert checked.routes == {DORA: {BOB: BOBS}}
    assert checked.withheld == {ALICE: frozenset({BOB})}


def test_a_state_of_nobody() -> None:
    """A state whose user ID is no string is a fault, and no user is withheld."""
    wrong = UserPresenceState(7, "online", 1, 1, 1, None, True)  # type: ignore[arg-type] # a module's
    assert check_routes({ALICE: {wrong}}, ASKED) == CheckedRoutes(faults=("7 is not a user ID",))


def test_faults_and_notes_are_few() -> None:
    """An answer has at most ten faults and ten notes."""
    wrong: dict[object, object] = {number: {BOBS} for number in range(25)}
    faults = tuple(f"{number} is not a user ID" for number in range(10))
    assert check_routes(wrong, ASKED) == CheckedRoutes(faults=faults)
    assert len(check_interest(set(wrong)).faults) == 10
    odd = {f"nobody {number}": {BOBS} for number in range(25)}
    notes = tuple(f"'nobody {number}' is not a user ID" for number in range(10))
    assert check_routes(odd, ASKED) == CheckedRoutes(notes=notes)
    assert len(check_interest(set(odd)).notes) == 10


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
    """Of several states of a user in one set, an altered one counts, then the latest."""
    assert check_routes({ALICE: states}, ASKED) == CheckedRoutes({ALICE: {BOB: chosen}})


def test_named_users() -> None:
    """A set of user IDs names these users, and "ALL", `PRESENCE_ALL_USERS`, all users."""
    answers: list[object] = [set(), {BOB, DORA}, frozenset({BOB}), "ALL"]
    assert [check_interest(it) for it in answers] == [
        CheckedInterest(),
        CheckedInterest(frozenset({BOB, DORA})),
        CheckedInterest(frozenset({BOB})),
        CheckedInterest(all_users=True),
    ]


@pytest.mark.parametrize(
    ("name", "is_fault"),
    [
        *((7, True), (b"@bob:demo", True), (8.5, True)),
        *((None, False), ("bob", False), (ODD, False), ("ALL", False), ("", False)),
        ("@x:y z", False),
    ],
)
def test_a_wrong_name(name: object, is_fault: bool) -> None:
    """A wrong name in a set is dropped and the others count. None and strings are no faults."""
    what = (f"{name!r:.80} is not a user ID",)
    assert check_interest({name, BOB}) == CheckedInterest(
        frozenset({BOB}), faults=what if is_fault else (), notes=() if is_fault else what
    )


class Hostile(dict[object, object]):
    """A dict whose methods raise."""

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("not today")

    def items(self) -> Any:
        raise RuntimeError("not today")

    def __len__(self) -> int:
        raise RuntimeError("not today")


class HostileSet(set[object]):
    """A set whose methods raise."""

    def __iter__(self) -> Iterator[object]:
        raise RuntimeError("not today")


class HostileText(str):
    """A subclass of str."""

    __slots__ = ()


class HostileState(UserPresenceState, frozen=True):
    """A subclass of the state."""


def test_hostile_containers() -> None:
    """The members of a subclass of dict or set are read without calling its methods."""
    answer = Hostile({ALICE: HostileSet([BOBS])})
    assert check_routes(answer, ASKED) == CheckedRoutes({ALICE: {BOB: BOBS}})
    assert check_interest(HostileSet([BOB])) == CheckedInterest(frozenset({BOB}))


def test_only_exact_types_pass() -> None:
    """A subclass of str or of a state is refused: it might raise wherever it is compared."""
    states = HostileState(*msgspec.structs.astuple(BOBS))
    assert check_routes({ALICE: {states}}, ASKED).routes == {}
    assert check_routes({HostileText(ALICE): {BOBS}}, ASKED).routes == {}
    assert check_interest({HostileText(BOB)}).named == frozenset()


def test_certain_viewers() -> None:
    """If the server asked for certain viewers, everything for them is read, and only altered
    states for others, however many there are.
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
    """The limit of an answer grows with the users that it is about: each may have many viewers."""
    told = {BOBS, state(CHARLIE)}
    answer = {f"@u{number}:demo": told for number in range(30_000)}
    checked = check_routes(answer, {UserId(it.user_id): it for it in told})
    assert (len(checked.routes), checked.faults) == (30_000, ())
    cut = check_routes(answer, {BOB: BOBS})
    assert (cut.faults, cut.is_cut) == (("more than 50000 states; the rest was not read",), True)


def test_an_answer_without_end() -> None:
    """Names beyond a limit are not read, and the fault says so."""
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
    """Tell whether a state can be sent to a client."""
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
    """Any Python object as an answer raises nothing, and what is left of it is valid."""
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
    """Any Python object as an answer raises nothing, and only user IDs are named."""
    checked = check_interest(answer)
    assert all(is_user_id(name) for name in checked.named)
    assert checked.all_users == (answer == "ALL")
    assert not (checked.all_users and checked.named)

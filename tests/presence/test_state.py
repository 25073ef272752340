"""The value for a user's presence."""

import copy
import pickle
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import attr
import attrs
import pytest

from lamplighter.presence.state import Presence, UserPresenceState

STATE = UserPresenceState("@alice:here", Presence.ONLINE, 1, 2, 3, "at lunch", True)


def test_presences_equal_their_string_on_the_wire() -> None:
    """Each presence equals the string that the specification, or MSC3026, gives it."""
    assert list(Presence) == ["offline", "unavailable", "online", "org.matrix.msc3026.busy"]


def test_fields_stand_in_the_module_api_s_order() -> None:
    """A state's fields have the names and the order that modules rely on."""
    assert list(STATE.as_dict().items()) == [
        ("user_id", "@alice:here"),
        ("state", "online"),
        ("last_active_ts", 1),
        ("last_federation_update_ts", 2),
        ("last_user_sync_ts", 3),
        ("status_msg", "at lunch"),
        ("currently_active", True),
    ]


def test_a_misspelt_field_is_an_error() -> None:
    """A misspelt field raises instead of silently wiping something."""
    state: Any = STATE
    for change in (STATE.copy_and_replace, partial(attrs.evolve, state)):
        with pytest.raises(TypeError, match="status_message"):
            change(status_message="oops")


def test_a_state_is_immutable() -> None:
    """A module cannot change a state that others hold too."""
    with pytest.raises(AttributeError, match="immutable"):
        STATE.status_msg = "changed"  # type: ignore[misc]


@pytest.mark.parametrize(
    "field",
    [
        {"user_id": "@bob:here"},
        {"state": "offline"},
        {"last_active_ts": 9},
        {"last_federation_update_ts": 9},
        {"last_user_sync_ts": 9},
        {"status_msg": None},
        {"currently_active": False},
    ],
    ids=lambda field: next(iter(field)),
)
def test_every_field_counts_in_a_set(field: dict[str, object]) -> None:
    """States are one element of a set exactly if all their fields are equal."""
    assert len({STATE, STATE.copy_and_replace(), STATE.copy_and_replace(**field)}) == 2


class _Synapses:
    """Synapse's own class: the reference for everything that modules may do to a state."""

    @attr.s(slots=True, frozen=True, auto_attribs=True)
    class UserPresenceState:
        user_id: str
        state: str
        last_active_ts: int
        last_federation_update_ts: int
        last_user_sync_ts: int
        status_msg: str | None
        currently_active: bool


ARGUMENTS: Any = ("@alice:here", "online", 1, 2, 3, "at lunch", True)
OTHERS = [
    ("@bob:here", "online", 1, 2, 3, "at lunch", True),
    ("@alice:here", "busy", 1, 2, 3, "at lunch", True),
    ("@alice:here", "online", 0, 2, 3, "at lunch", True),
    ("@alice:here", "online", 1, 2, 3, "at", False),
    ARGUMENTS,
]
#: What a module may do to a state, and what comes of it, as text.
USES: dict[str, Callable[[Any], object]] = {
    "attr.evolve": lambda it: attr.evolve(it, status_msg=None),
    "attrs.evolve": lambda it: attrs.evolve(it, state="offline", status_msg="x"),
    "evolved twice": lambda it: attr.evolve(attr.evolve(it, status_msg=None), last_active_ts=9),
    "attr.asdict": attr.asdict,
    "attrs.asdict": lambda it: attrs.asdict(it, filter=lambda field, _: field.name != "state"),
    "attr.astuple": attr.astuple,
    "attrs.has": lambda it: attrs.has(type(it)),
    "attrs.fields": lambda it: attrs.fields(type(it)),
    "attr.fields_dict": lambda it: list(attr.fields_dict(type(it))),
    "a field": lambda it: attr.fields(type(it)).status_msg.name,
    "attrs.validate": attrs.validate,
    "attrs.resolve_types": lambda it: attrs.resolve_types(type(it)).__name__,
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "its own equal": lambda it: it == copy.copy(it),
    "its hash": lambda it: hash(it) == hash(copy.copy(it)),
    "another type": lambda it: (it == 3, it != 3),
    "weak": lambda it: weakref.ref(it)() is it,
    "matched": lambda it: type(it).__match_args__,
    "keywords": lambda it: type(it)(**attr.asdict(it)),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_what_modules_do_to_a_state(use: Callable[[Any], object]) -> None:
    """Functions of attrs have the same results for our state as for Synapse's attrs class."""
    ours, theirs = UserPresenceState(*ARGUMENTS), _Synapses.UserPresenceState(*ARGUMENTS)
    assert repr(use(ours)) == repr(use(theirs)).replace("_Synapses.", "")


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_order(other: Any) -> None:
    """States are ordered by their fields in order, as Synapse's are."""
    kinds: list[Any] = [UserPresenceState, _Synapses.UserPresenceState]
    for kind in kinds:
        mine, theirs = kind(*ARGUMENTS), kind(*other)
        comparisons = (mine < theirs, mine <= theirs, mine > theirs, mine >= theirs)
        expected = (other > ARGUMENTS, other >= ARGUMENTS, other < ARGUMENTS, other <= ARGUMENTS)
        assert comparisons == expected
        with pytest.raises(TypeError, match="not supported"):
            mine < 3  # noqa: B015 - it is asked for the error


def test_a_pickled_state() -> None:
    """A pickled state can be restored."""
    assert pickle.loads(pickle.dumps(STATE)) == STATE

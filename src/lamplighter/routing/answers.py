"""What modules answer, checked entry by entry: a wrong one costs itself, not its neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lamplighter.ids import UserId, is_user_id
from lamplighter.presence.state import Presence, UserPresenceState, is_text
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS

__all__ = ["CheckedInterest", "CheckedRoutes", "check_interest", "check_routes"]

_PRESENCES: Final = frozenset(Presence)
#: A log line per wrong entry helps nobody beyond these.
_MOST_FAULTS: Final = 10
_FIELD_TYPES: Final = (
    ("last_active_ts", int),
    ("last_federation_update_ts", int),
    ("last_user_sync_ts", int),
    ("status_msg", str | None),
    ("currently_active", bool),
)


@dataclass(frozen=True, slots=True)
class CheckedRoutes:
    """A sound answer of `get_users_for_states`: one state per viewer and user."""

    routes: Mapping[UserId, Mapping[UserId, UserPresenceState]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedInterest:
    """A sound answer of `get_interested_users`."""

    named: frozenset[UserId] = frozenset()
    all_users: bool = False
    faults: tuple[str, ...] = ()


def check_routes(answer: object, asked: Mapping[str, UserPresenceState]) -> CheckedRoutes:
    """Return what is right in *answer*, and what is not.

    *asked* are the states the module was given, by user: they need no check when they return.
    """
    if not isinstance(answer, Mapping):
        return CheckedRoutes(faults=(f"returned {_kind(answer)} instead of a dict",))
    routes: dict[UserId, dict[UserId, UserPresenceState]] = {}
    faults: list[str] = []
    for viewer, states in answer.items():
        if not is_user_id(viewer):
            faults.append(f"{viewer!r:.80} is not a user ID")
        elif not isinstance(states, set | frozenset):
            faults.append(f"the value of {viewer} is {_kind(states)} instead of a set")
        else:
            sound = _sound_states(viewer, states, asked, faults)
            if sound:
                routes[viewer] = sound
    return CheckedRoutes(routes, tuple(faults[:_MOST_FAULTS]))


def check_interest(answer: object) -> CheckedInterest:
    """Return what is right in *answer*, and what is not."""
    if isinstance(answer, str) and answer == PRESENCE_ALL_USERS:
        return CheckedInterest(all_users=True)
    if not isinstance(answer, set | frozenset):
        fault = f"returned {_kind(answer)} instead of a set or PRESENCE_ALL_USERS"
        return CheckedInterest(faults=(fault,))
    named = frozenset(UserId(user_id) for user_id in answer if is_user_id(user_id))
    wrong = [user_id for user_id in answer if not is_user_id(user_id)]
    faults = tuple(f"{user_id!r:.80} is not a user ID" for user_id in wrong[:_MOST_FAULTS])
    return CheckedInterest(named, faults=faults)


def _sound_states(
    viewer: str,
    states: set[object] | frozenset[object],
    asked: Mapping[str, UserPresenceState],
    faults: list[str],
) -> dict[UserId, UserPresenceState]:
    sound: dict[UserId, UserPresenceState] = {}
    for state in states:
        fault = _fault_of(state, asked)
        if fault is not None:
            faults.append(f"in the set of {viewer}: {fault}")
            continue
        assert isinstance(state, UserPresenceState)
        user_id = UserId(state.user_id)
        sound[user_id] = _one_of(sound.get(user_id), state, asked.get(user_id))
    return sound


def _fault_of(state: object, asked: Mapping[str, UserPresenceState]) -> str | None:
    if not isinstance(state, UserPresenceState):
        return f"{_kind(state)} instead of a UserPresenceState"
    if asked.get(state.user_id) is state:
        return None
    if not is_user_id(state.user_id):
        return f"{state.user_id!r:.80} is not a user ID"
    if state.state not in _PRESENCES:
        return f"{state.state!r:.80} is not a presence"
    for name, kind in _FIELD_TYPES:
        value = getattr(state, name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return f"{name} of {state.user_id} is {_kind(value)}"
    if not is_text(state.status_msg or ""):
        return f"status_msg of {state.user_id} holds half of a surrogate pair"
    return None


def _one_of(
    before: UserPresenceState | None, state: UserPresenceState, original: UserPresenceState | None
) -> UserPresenceState:
    """Return which of two states of one user in one set counts: an altered one, then the latest.

    A set has no order, so the choice is by value: the same answer always has the same effect.
    """
    if before is None:
        return state
    return max(before, state, key=lambda it: (it != original, it.last_active_ts, repr(it)))


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

"""Checking the answers of modules, entry by entry: a wrong entry is dropped, and the others count.

Only exact types are accepted: the methods of a module's own subclass could raise, or take long,
wherever the server later compares or hashes the object.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeGuard

from lamplighter.ids import UserId, is_user_id
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.status_message import status_msg_fault
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS

__all__ = ["CheckedInterest", "CheckedRoutes", "check_interest", "check_routes", "is_answer"]

_PRESENCES: Final = frozenset(Presence)
#: The most faults, and the most notes, of one answer.
_MOST_FAULTS: Final = 10
#: The most named users, or viewers, that are read of an answer; and, for each user that the module
#: was asked about, the most states for all viewers together.
_MOST_ENTRIES: Final = 50_000
_PLAIN: Final = (str, bytes, int, float, bool, type(None))
_FIELD_TYPES: Final = (
    ("last_active_ts", (int,)),
    ("last_federation_update_ts", (int,)),
    ("last_user_sync_ts", (int,)),
    ("status_msg", (str, type(None))),
    ("currently_active", (bool,)),
)


@dataclass(frozen=True, slots=True)
class CheckedRoutes:
    """The valid part of an answer of `get_users_for_states`: one state per viewer and user."""

    routes: Mapping[UserId, Mapping[UserId, UserPresenceState]] = field(default_factory=dict)
    #: Wrong entries. Each is a failure of the module.
    faults: tuple[str, ...] = ()
    #: Dropped entries that are no failures: a None, a malformed user ID. The author should know.
    notes: tuple[str, ...] = ()
    #: Viewer to the users about whom the viewer gets nothing: the module's state for them is
    #: wrong, or missing although the module usually alters it (`alterations.py`).
    withheld: Mapping[UserId, frozenset[UserId]] = field(default_factory=dict)
    #: The viewers for whom some states could not be read; these may have been altered states.
    torn: frozenset[UserId] = frozenset()
    #: Whether the answer had more viewers, or more states, than the server reads.
    is_cut: bool = False
    #: The users without an answer: the module is paused, raised an exception, or was late.
    unanswered: frozenset[UserId] = frozenset()

    def to(self, viewer: UserId) -> "CheckedRoutes":
        """Return the part for *viewer*: the states, and whom the viewer gets nothing about."""
        routes, withheld = self.routes.get(viewer), self.withheld.get(viewer)
        return CheckedRoutes(
            {} if routes is None else {viewer: routes},
            withheld={} if withheld is None else {viewer: withheld},
        )


@dataclass(frozen=True, slots=True)
class CheckedInterest:
    """The valid part of an answer of `get_interested_users`."""

    named: frozenset[UserId] = frozenset()
    all_users: bool = False
    #: Wrong entries. Each is a failure of the module.
    faults: tuple[str, ...] = ()
    #: Dropped entries that are no failures: a None, a malformed user ID. The author should know.
    notes: tuple[str, ...] = ()
    #: Whether there is no answer: the module is paused, raised an exception, or was late.
    failed: bool = False


def check_routes(
    answer: object,
    asked: Mapping[UserId, UserPresenceState],
    viewers: AbstractSet[UserId] = frozenset(),
) -> CheckedRoutes:
    """Return the valid part of *answer*, and what is wrong with the rest.

    *asked* are the states that the module got, by user; returned unchanged, they need no check.
    If the server asked for certain *viewers*, everything that the answer has for them is read, and
    of the entries for other viewers only altered states: the server needs no others, and there may
    be very many of them.
    """
    if answer is None:
        return CheckedRoutes(notes=("returned None instead of a dict",))
    if not isinstance(answer, dict):
        return CheckedRoutes(faults=(f"returned {_kind(answer)} instead of a dict",))
    reading = _Reading(asked)
    if viewers:
        reading.read_for(viewers, answer)
    else:
        reading.read_all(answer)
    return reading.result()


def is_answer(answer: object) -> bool:
    """Tell whether *answer* has a type that `get_users_for_states` may return."""
    return answer is None or isinstance(answer, dict)


def check_interest(answer: object) -> CheckedInterest:
    """Return the valid part of *answer*, and what is wrong with the rest."""
    if type(answer) is str and answer == PRESENCE_ALL_USERS:
        return CheckedInterest(all_users=True)
    if answer is None:
        return CheckedInterest(notes=("returned None instead of a set",))
    if not isinstance(answer, set | frozenset):
        fault = f"returned {_kind(answer)} instead of a set or PRESENCE_ALL_USERS"
        return CheckedInterest(faults=(fault,))
    members = list(islice(_members(answer), _MOST_ENTRIES + 1))
    named = frozenset(UserId(it) for it in members if type(it) is str and is_user_id(it))
    findings = _Findings()
    if len(members) > _MOST_ENTRIES:
        findings.faults.append(f"more than {_MOST_ENTRIES} users; the rest was not read")
    for user_id in members:
        findings.is_user_id(user_id)
    faults, notes = findings.first()
    return CheckedInterest(named, faults=faults, notes=notes)


class _Findings:
    """The faults and notes of an answer, so far."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.notes: list[str] = []

    def is_user_id(self, user_id: object) -> TypeGuard[str]:
        """Tell whether *user_id* is valid; if not, None and strings are notes, the rest faults."""
        if type(user_id) is str and is_user_id(user_id):
            return True
        about = self.notes if user_id is None or type(user_id) is str else self.faults
        about.append(f"{_shown(user_id)} is not a user ID")
        return False

    def first(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the first faults, and the first notes."""
        return tuple(self.faults[:_MOST_FAULTS]), tuple(self.notes[:_MOST_FAULTS])


class _Reading:
    """The parts of an answer that were read so far."""

    def __init__(self, asked: Mapping[UserId, UserPresenceState]) -> None:
        self._asked = asked
        self._routes: dict[UserId, dict[UserId, UserPresenceState]] = {}
        self._withheld: dict[UserId, set[UserId]] = {}
        self._torn: set[UserId] = set()
        self._findings = _Findings()
        self._is_cut = False
        self._given = {id(state) for state in asked.values()}

    def result(self) -> CheckedRoutes:
        """Return the result of the check."""
        faults, notes = self._findings.first()
        return CheckedRoutes(
            self._routes,
            faults,
            notes,
            {viewer: frozenset(users) for viewer, users in self._withheld.items()},
            frozenset(self._torn),
            self._is_cut,
        )

    def read_all(self, answer: dict[object, object]) -> None:
        """Read the states for all viewers."""
        left = most = _MOST_ENTRIES * max(1, len(self._asked))
        for viewer, states in islice(dict.items(answer), _MOST_ENTRIES):
            left -= self._read(viewer, states, left)
        if len(dict.keys(answer)) > _MOST_ENTRIES:
            self._cut(f"more than {_MOST_ENTRIES} viewers; the rest was not read")
        if not left:
            self._cut(f"more than {most} states; the rest was not read")

    def read_for(self, viewers: AbstractSet[UserId], answer: dict[object, object]) -> None:
        """Read all states for *viewers*, and the altered ones for other viewers."""
        for viewer in viewers:
            if dict.__contains__(answer, viewer):
                self._read(viewer, dict.get(answer, viewer), _MOST_ENTRIES + len(self._asked))
        left = _MOST_ENTRIES
        for other, states in dict.items(answer):
            if other not in viewers:
                left -= self._read_altered(other, states, left)

    def _cut(self, fault: str) -> None:
        self._findings.faults.append(fault)
        self._is_cut = True

    def _read(self, viewer: object, states: object, most: int) -> int:
        """Read up to *most* states for a viewer; return how many valid ones there were."""
        if not self._findings.is_user_id(viewer):
            return 0
        if states is None:
            self._findings.notes.append(f"the value of {viewer} is None instead of a set")
            return 0
        if not isinstance(states, set | frozenset):
            fault = f"the value of {viewer} is {_kind(states)} instead of a set"
            self._findings.faults.append(fault)
            self._torn.add(UserId(viewer))
            return 0
        found = list(islice(_members(states), most + 1))
        if len(found) > most:
            self._torn.add(UserId(viewer))
        return self._take(UserId(viewer), found[:most])

    def _read_altered(self, viewer: object, states: object, most: int) -> int:
        """Read as `_read` does, but only states other than those that the module got."""
        if not isinstance(states, set | frozenset):
            return 0
        altered = [state for state in _members(states) if id(state) not in self._given]
        if not altered or not self._findings.is_user_id(viewer):
            return 0
        return self._take(UserId(viewer), altered[:most])

    def _take(self, viewer: UserId, states: list[object]) -> int:
        sound: dict[UserId, UserPresenceState] = {}
        spoilt: set[UserId] = set()
        for state in states:
            if id(state) in self._given or self._is_sound(viewer, state, spoilt):
                assert isinstance(state, UserPresenceState)
                user_id = UserId(state.user_id)
                sound[user_id] = _one_of(sound.get(user_id), state, self._asked.get(user_id))
        if spoilt:
            self._withheld[viewer] = spoilt
            sound = {user_id: it for user_id, it in sound.items() if user_id not in spoilt}
        if sound:
            self._routes[viewer] = sound
        return len(sound)

    def _is_sound(self, viewer: UserId, state: object, spoilt: set[UserId]) -> bool:
        """Tell whether *state* is valid; if not, note why.

        A wrong state may have been meant to hide something, so its user is added to *spoilt*: the
        viewer does not get the real state instead.
        """
        if state is None:
            self._findings.notes.append(f"in the set of {viewer}: None")
            return False
        if type(state) is not UserPresenceState:
            fault = f"{_kind(state)} instead of a UserPresenceState"
            self._torn.add(viewer)
        elif type(state.user_id) is not str or not is_user_id(state.user_id):
            return self._findings.is_user_id(state.user_id)
        elif (wrong := _fault_of(state)) is None:
            return True
        else:
            fault = wrong
            spoilt.add(UserId(state.user_id))
        self._findings.faults.append(f"in the set of {viewer}: {fault}")
        return False


def _members(values: set[object] | frozenset[object]) -> Iterator[object]:
    """Return the members of a set without calling methods of a subclass."""
    return set.__iter__(values) if isinstance(values, set) else frozenset.__iter__(values)


def _fault_of(state: UserPresenceState) -> str | None:
    """Return what is wrong with the fields of a state, apart from its user ID."""
    if type(state.state) not in (str, Presence) or state.state not in _PRESENCES:
        return f"{_shown(state.state)} is not a presence"
    for name, kinds in _FIELD_TYPES:
        if type(getattr(state, name)) not in kinds:
            return f"{name} of {state.user_id} is {_kind(getattr(state, name))}"
    fault = status_msg_fault(state.status_msg)
    return f"status_msg of {state.user_id} {fault}" if fault else None


def _one_of(
    before: UserPresenceState | None, state: UserPresenceState, original: UserPresenceState | None
) -> UserPresenceState:
    """Return which of two states of a user in one set counts: an altered one, then the latest.

    A set has no order, so the values decide: equal answers always have the same effect.
    """
    if before is None:
        return state
    return max(before, state, key=lambda it: (it != original, it.last_active_ts, repr(it)))


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _shown(value: object) -> str:
    """Return *value* for a log line, without calling the `repr` of a module's own class."""
    return f"{value!r:.80}" if type(value) in _PLAIN else _kind(value)

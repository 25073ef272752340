"""What modules answer, checked entry by entry: a wrong one costs itself, not its neighbours.

Only exact types pass: a subclass of a module's own could raise, or think for long, wherever the
server later compares or hashes it.
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
#: A log line per wrong entry helps nobody beyond these.
_MOST_FAULTS: Final = 10
#: An answer is read up to this many users named, or viewers; and, for each user it was asked
#: about, up to this many states for all viewers together.
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
    """A sound answer of `get_users_for_states`: one state per viewer and user."""

    routes: Mapping[UserId, Mapping[UserId, UserPresenceState]] = field(default_factory=dict)
    #: What cannot be used; it costs itself.
    faults: tuple[str, ...] = ()
    #: What costs nothing, and an author should know: a None, a user ID that cannot be.
    notes: tuple[str, ...] = ()
    #: By viewer, of whom nothing may be told: what the module says of them cannot be used, or is
    #: missing where it usually alters them.
    withheld: Mapping[UserId, frozenset[UserId]] = field(default_factory=dict)
    #: The viewers of whose states not all could be read: perhaps some that were altered.
    torn: frozenset[UserId] = frozenset()
    #: Whether there were more viewers, or more states, than are read.
    is_cut: bool = False
    #: About whom there is no answer: the module is paused, raised, or was late.
    unanswered: frozenset[UserId] = frozenset()


@dataclass(frozen=True, slots=True)
class CheckedInterest:
    """A sound answer of `get_interested_users`."""

    named: frozenset[UserId] = frozenset()
    all_users: bool = False
    #: What cannot be used; it costs itself.
    faults: tuple[str, ...] = ()
    #: What costs nothing, and an author should know: a None, a user ID that cannot be.
    notes: tuple[str, ...] = ()
    #: Whether there is no answer at all: the module is paused, raised, or was late.
    failed: bool = False


def check_routes(
    answer: object,
    asked: Mapping[UserId, UserPresenceState],
    viewers: AbstractSet[UserId] = frozenset(),
) -> CheckedRoutes:
    """Return what is right in *answer*, and what is not.

    *asked* are the states the module was given, by user: they need no check when they return.
    Where the module was asked for the sake of *viewers*, all that is said to them is read, and of
    the others only what is altered for them: the rest is of no use, and may be very much.
    """
    if answer is None:
        return CheckedRoutes(notes=("returned None instead of a dict",))
    if not isinstance(answer, dict):
        return CheckedRoutes(faults=(f"returned {_kind(answer)} instead of a dict",))
    reading = _Reading(asked)
    for viewer in viewers:
        if dict.__contains__(answer, viewer):
            reading.read(viewer, dict.get(answer, viewer), _MOST_ENTRIES + len(asked))
    if viewers:
        left = _MOST_ENTRIES
        for other, states in dict.items(answer):
            if other not in viewers:
                left -= reading.read_altered(other, states, left)
    else:
        _read_all(answer, reading)
    return reading.result()


def is_answer(answer: object) -> bool:
    """Tell whether *answer* is of a type in which something of `get_users_for_states` can be."""
    return answer is None or isinstance(answer, dict)


def _read_all(answer: dict[object, object], reading: "_Reading") -> None:
    left = most = _MOST_ENTRIES * max(1, len(reading.asked))
    for viewer, states in islice(dict.items(answer), _MOST_ENTRIES):
        left -= reading.read(viewer, states, left)
    if len(dict.keys(answer)) > _MOST_ENTRIES:
        reading.cut(f"more than {_MOST_ENTRIES} viewers; the rest was not read")
    if not left:
        reading.cut(f"more than {most} states; the rest was not read")


def check_interest(answer: object) -> CheckedInterest:
    """Return what is right in *answer*, and what is not."""
    if type(answer) is str and answer == PRESENCE_ALL_USERS:
        return CheckedInterest(all_users=True)
    if answer is None:
        return CheckedInterest(notes=("returned None instead of a set",))
    if not isinstance(answer, set | frozenset):
        fault = f"returned {_kind(answer)} instead of a set or PRESENCE_ALL_USERS"
        return CheckedInterest(faults=(fault,))
    members = list(islice(_members(answer), _MOST_ENTRIES + 1))
    named = frozenset(UserId(it) for it in members if type(it) is str and is_user_id(it))
    said = _Said()
    if len(members) > _MOST_ENTRIES:
        said.faults.append(f"more than {_MOST_ENTRIES} users; the rest was not read")
    for user_id in members:
        said.is_user_id(user_id)
    return CheckedInterest(named, faults=said.most(said.faults), notes=said.most(said.notes))


class _Said:
    """What is to be said of an answer, so far."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.notes: list[str] = []

    def is_user_id(self, user_id: object) -> TypeGuard[str]:
        """Tell whether it is one; None, and a text that is none, are left out; else it is wrong."""
        if type(user_id) is str and is_user_id(user_id):
            return True
        about = self.notes if user_id is None or type(user_id) is str else self.faults
        about.append(f"{_shown(user_id)} is not a user ID")
        return False

    def most(self, lines: list[str]) -> tuple[str, ...]:
        """Return as many of *lines* as are worth telling."""
        return tuple(lines[:_MOST_FAULTS])


class _Reading:
    """What has been found in an answer so far."""

    def __init__(self, asked: Mapping[UserId, UserPresenceState]) -> None:
        self.asked = asked
        self._routes: dict[UserId, dict[UserId, UserPresenceState]] = {}
        self._withheld: dict[UserId, set[UserId]] = {}
        self._torn: set[UserId] = set()
        self._said = _Said()
        self._is_cut = False
        self._given = {id(state) for state in asked.values()}

    def result(self) -> CheckedRoutes:
        """Return what was found."""
        said = self._said
        return CheckedRoutes(
            self._routes,
            said.most(said.faults),
            said.most(said.notes),
            {viewer: frozenset(users) for viewer, users in self._withheld.items()},
            frozenset(self._torn),
            self._is_cut,
        )

    def cut(self, fault: str) -> None:
        """Not all is read."""
        self._said.faults.append(fault)
        self._is_cut = True

    def read(self, viewer: object, states: object, most: int) -> int:
        """Take in what is right for one viewer, *most* states; return how many that were."""
        if not self._said.is_user_id(viewer):
            return 0
        if states is None:
            self._said.notes.append(f"the value of {viewer} is None instead of a set")
            return 0
        if not isinstance(states, set | frozenset):
            self._said.faults.append(f"the value of {viewer} is {_kind(states)} instead of a set")
            self._torn.add(UserId(viewer))
            return 0
        found = list(islice(_members(states), most + 1))
        if len(found) > most:
            self._torn.add(UserId(viewer))
        return self._take(UserId(viewer), found[:most])

    def read_altered(self, viewer: object, states: object, most: int) -> int:
        """Do as `read` does, but look only at states that are not those the module was given."""
        if not isinstance(states, set | frozenset):
            return 0
        altered = [state for state in _members(states) if id(state) not in self._given]
        if not altered or not self._said.is_user_id(viewer):
            return 0
        return self._take(UserId(viewer), altered[:most])

    def _take(self, viewer: UserId, states: list[object]) -> int:
        sound: dict[UserId, UserPresenceState] = {}
        spoilt: set[UserId] = set()
        for state in states:
            if id(state) in self._given or self._is_sound(viewer, state, spoilt):
                assert isinstance(state, UserPresenceState)
                user_id = UserId(state.user_id)
                sound[user_id] = _one_of(sound.get(user_id), state, self.asked.get(user_id))
        if spoilt:
            self._withheld[viewer] = spoilt
            sound = {user_id: it for user_id, it in sound.items() if user_id not in spoilt}
        if sound:
            self._routes[viewer] = sound
        return len(sound)

    def _is_sound(self, viewer: UserId, state: object, spoilt: set[UserId]) -> bool:
        """Tell whether *state* can be used; if not, say why, and of whom the viewer is told less.

        What is wrong may be what hides something: its user is not shown as they are instead.
        """
        if state is None:
            self._said.notes.append(f"in the set of {viewer}: None")
            return False
        if type(state) is not UserPresenceState:
            fault = f"{_kind(state)} instead of a UserPresenceState"
            self._torn.add(viewer)
        elif type(state.user_id) is not str or not is_user_id(state.user_id):
            return self._said.is_user_id(state.user_id)
        elif (wrong := _fault_of(state)) is None:
            return True
        else:
            fault = wrong
            spoilt.add(UserId(state.user_id))
        self._said.faults.append(f"in the set of {viewer}: {fault}")
        return False


def _members(values: set[object] | frozenset[object]) -> Iterator[object]:
    """Return what is in the set, whatever a subclass says of itself."""
    return set.__iter__(values) if isinstance(values, set) else frozenset.__iter__(values)


def _fault_of(state: UserPresenceState) -> str | None:
    """Return what is wrong with the fields of a state, its user ID aside."""
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
    """Return which of two states of one user in one set counts: an altered one, then the latest.

    A set has no order, so the choice is by value: the same answer always has the same effect.
    """
    if before is None:
        return state
    return max(before, state, key=lambda it: (it != original, it.last_active_ts, repr(it)))


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _shown(value: object) -> str:
    """Return *value* for a log line; only what is Python's own is asked how it looks."""
    return f"{value!r:.80}" if type(value) in _PLAIN else _kind(value)

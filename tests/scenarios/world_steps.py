"""The steps of a random world, as data, and the strategies by which Hypothesis makes them."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from hypothesis import strategies as st

from tests.scenarios.worlds import MODULES, Pair

__all__ = [
    "NAMES_OF_USERS",
    "ROOMS",
    "Abandon",
    "Action",
    "Ask",
    "Gate",
    "GiveSnapshot",
    "Invite",
    "Join",
    "Leave",
    "LogOut",
    "Pass",
    "Poll",
    "Put",
    "Reload",
    "Restart",
    "SetByModule",
    "Step",
    "Sync",
    "Together",
    "Toggle",
    "World",
    "worlds",
]

NAMES_OF_USERS: Final = ("alice", "bob", "carol", "dave")
#: The last one is excluded by the configuration.
ROOMS: Final = ("hall", "kitchen", "excluded")


@dataclass(frozen=True)
class Put:
    user: str
    device: str
    presence: str
    says: bool


@dataclass(frozen=True)
class Sync:
    user: str
    device: str
    set_presence: str | None
    #: "next", "first", "old" (a token of this client's past), or a token that is none of ours.
    since: str


@dataclass(frozen=True)
class Poll:
    user: str
    device: str
    set_presence: str | None
    seconds: int


@dataclass(frozen=True)
class Abandon:
    """The client goes away while it polls."""

    user: str
    device: str


@dataclass(frozen=True)
class LogOut:
    user: str
    device: str


@dataclass(frozen=True)
class Ask:
    """GET the status of everybody."""

    user: str


@dataclass(frozen=True)
class Join:
    user: str
    room: str


@dataclass(frozen=True)
class Leave:
    user: str
    room: str


@dataclass(frozen=True)
class Invite:
    user: str
    other: str
    room: str


@dataclass(frozen=True)
class Toggle:
    """A module changes its mind about a pair."""

    module: str
    viewer: str
    sender: str


@dataclass(frozen=True)
class GiveSnapshot:
    """A module calls `send_local_online_presence_to`."""

    user: str


@dataclass(frozen=True)
class SetByModule:
    user: str
    presence: str
    says: bool


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    seconds: int


@dataclass(frozen=True)
class Gate:
    """From now on the modules that wait for the gate are held, or let go."""

    open: bool


@dataclass(frozen=True)
class Restart:
    """The server stops in good order and starts again."""


@dataclass(frozen=True)
class Reload:
    """Other modules take the place of those that run: some of the same, in another order."""

    modules: tuple[str, ...]


Action: TypeAlias = (
    Put
    | Sync
    | Poll
    | Abandon
    | LogOut
    | Ask
    | Join
    | Leave
    | Invite
    | Toggle
    | GiveSnapshot
    | SetByModule
)


@dataclass(frozen=True)
class Together:
    """Several people act at the same time."""

    actions: tuple[Action, ...]


Step: TypeAlias = Action | Pass | Gate | Restart | Reload | Together


@dataclass(frozen=True)
class World:
    """The state of a world at its beginning, and its steps."""

    shared_rooms: bool
    #: With more members a room does not count; None: any number.
    largest_room: int | None
    #: The modules, in config order.
    modules: tuple[str, ...]
    #: How many turns of the loop each of them thinks.
    thinks: tuple[int, ...]
    #: Who of them also waits for the gate.
    gated: frozenset[str]
    early: bool
    members: tuple[tuple[str, str], ...]
    rules: tuple[tuple[str, Pair], ...]
    steps: tuple[Step, ...]


_users = st.sampled_from(NAMES_OF_USERS)
_devices = st.sampled_from(("PHONE", "PHONE", "PHONE", "LAPTOP"))
_rooms = st.sampled_from(ROOMS)
_presences = st.sampled_from(("online", "unavailable", "offline"))
_set_presences = st.sampled_from((None, None, "online", "unavailable", "offline", "offline"))
_tokens = st.sampled_from(
    ("next",) * 8 + ("first", "old", "old", "garbage", "s1_2~17-0-00000000", "~", "x~1-1-zz")
)
_seconds = st.sampled_from((1, 2, 4, 10, 31, 54, 58, 61, 70, 290, 330))


def _actions(modules: tuple[str, ...]) -> st.SearchStrategy[Action]:
    kinds: list[st.SearchStrategy[Action]] = [
        st.builds(Put, _users, _devices, _presences, st.booleans()),
        st.builds(Put, _users, _devices, _presences, st.booleans()),
        st.builds(Sync, _users, _devices, _set_presences, _tokens),
        st.builds(Sync, _users, _devices, st.just("offline"), st.just("next")),
        st.builds(Poll, _users, _devices, _set_presences, st.sampled_from((3, 30, 120))),
        st.builds(Abandon, _users, _devices),
        st.builds(LogOut, _users, _devices),
        st.builds(Ask, _users),
        st.builds(Join, _users, _rooms),
        st.builds(Leave, _users, _rooms),
        st.builds(Invite, _users, _users, _rooms),
        st.builds(SetByModule, _users, _presences, st.booleans()),
    ]
    if modules:
        kinds += [
            st.builds(Toggle, st.sampled_from(modules), _users, _users),
            st.builds(GiveSnapshot, _users),
        ]
    return st.one_of(kinds)


@st.composite
def worlds(draw: st.DrawFn, fewest_steps: int = 10, *, reloads: bool = False) -> World:
    """Make up a world, and what happens in it; with *reloads* its modules change, too."""
    modules = tuple(draw(st.lists(st.sampled_from(MODULES), unique=True, max_size=4)))
    patience = st.sampled_from((0, 0, 0, 1, 2, 3, 5, 9, 14))
    thinks = tuple(draw(patience) for _ in modules)
    gated = frozenset[str]()
    steps: list[st.SearchStrategy[Step]] = []
    action = _actions(modules)
    if modules:
        gated = draw(st.frozensets(st.sampled_from(modules)))
        pair = st.tuples(_users, _users)
        rules = tuple(draw(st.lists(st.tuples(st.sampled_from(modules), pair), max_size=8)))
    else:
        rules = ()
    if gated:
        steps.append(st.builds(Gate, st.booleans()))
    if modules and reloads:
        some = st.lists(st.sampled_from(modules), unique=True)
        steps += [st.builds(Reload, some.map(tuple))] * 2
    together = st.lists(action, min_size=2, max_size=4)
    steps += [action] * 8
    steps += [
        st.builds(Pass, _seconds),
        st.builds(Together, together.map(tuple)),
        st.just(Restart()) if draw(st.booleans()) else action,
    ]
    return World(
        shared_rooms=draw(st.sampled_from((True, True, True, False))),
        largest_room=draw(st.sampled_from((None, None, 2, 3, 4))),
        modules=modules,
        thinks=thinks,
        gated=gated,
        early=draw(st.booleans()),
        members=tuple(draw(st.lists(st.tuples(_users, _rooms), max_size=8, unique=True))),
        rules=rules,
        steps=tuple(draw(st.lists(st.one_of(steps), min_size=fewest_steps, max_size=40))),
    )

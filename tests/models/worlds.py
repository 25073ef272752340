"""What there is in a modelled cluster: plain values, and what follows from the log alone.

A place in the log is a number of records. What a node knows of others is a function of the records
that it has read, `log[:node.read]`: no node has a memory of its own beside them.
"""

from enum import Enum
from typing import Final, NamedTuple, TypeAlias, TypeVar

__all__ = [
    "NOBODY", "NODES", "UNTOLD", "USERS", "Lease", "Log", "Node", "Put", "Record", "Stage", "Value",
    "Way", "What", "World", "last_told", "lives", "lives_at", "node_at", "owner", "process_of",
    "replaced", "shares", "truth",
    "with_node",
    "without_polls",
]  # fmt: skip

T = TypeVar("T")

#: Two nodes by their number, and two users: user 0 is partition 0, and user 1 is partition 1.
NODES: Final = (0, 1)
USERS: Final = (0, 1)
#: The epoch of no lease.
NOBODY: Final = 0

#: Whether a user is online, and the number of the PUT that has set the status.
Value: TypeAlias = tuple[bool, int]
#: How a user is of whom the log says nothing.
UNTOLD: Final[Value] = (False, 0)


class What(Enum):
    """What a record says."""

    #: The lease of the epoch `by` owns the partition.
    OWNED = "owned"
    #: Its owner says how the user is.
    TOLD = "told"
    #: The user has ceased, or begun, to share a room with the viewer.
    PARTED = "parted"
    MET = "met"


class Record(NamedTuple):
    """One record of the log."""

    what: What
    by: int
    user: int
    value: Value = UNTOLD


Log: TypeAlias = tuple[Record, ...]


class Lease(NamedTuple):
    """A node's newest lease as the log has it; it lives before `until`."""

    epoch: int = NOBODY
    until: int = 0
    #: Whether its node can own something.
    is_ready: bool = False


class Way(Enum):
    """How a node reaches the log, and whether it moves."""

    OPEN = "open"
    #: The node moves, and nothing reaches the log.
    CUT = "cut"
    #: The node stands still, and does not notice.
    FROZEN = "frozen"


class Node(NamedTuple):
    """One process, as it sees the world."""

    epoch: int
    #: When it sent the last renewal that was answered, and when it last tried to.
    renewed: int
    looked: int
    read: int
    way: Way = Way.OPEN
    #: Whether it has reached the log at its last look.
    hears: bool = True
    #: Whether it counts itself out: it answers nothing.
    is_out: bool = False
    #: Whose client polls here.
    polls: frozenset[int] = frozenset()
    #: As an owner: which user polls, by the epoch of which node; since when nobody says so.
    vouched: frozenset[tuple[int, int]] = frozenset()
    idle: tuple[int | None, ...] = (None, None)
    #: By user: the PUT that it has decided and could not tell; 0 for none.
    untold: tuple[int, ...] = (0, 0)
    #: The epochs that it has missed at its last look.
    missing: frozenset[int] = frozenset()
    #: The partitions that it is about to take, and to give.
    wanted: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()


class Stage(Enum):
    """How far a PUT has come."""

    #: The node to which the client came looks for the owner.
    WAITS = "waits"
    #: The message is in the owner's inbox.
    SAID = "said"
    #: The owner has decided, and writes the record.
    DECIDED = "decided"
    TOLD = "told"
    #: The owner has read its own record, and writes to the database.
    SAVING = "saving"
    SAVED = "saved"


class Put(NamedTuple):
    """A PUT of a status that has no answer yet."""

    user: int
    number: int
    #: When it is refused; None while the node stands still to which it has come.
    until: int | None
    #: The node to which the client came; None if nobody waits for an answer.
    edge: int | None
    stage: Stage = Stage.WAITS
    #: The epoch of the owner that has decided, and the node; the place of its record.
    owner: int = NOBODY
    node: int = 0
    place: int = 0


class World(NamedTuple):
    """Everything at one moment. The last fields are no part of the cluster: they say what was."""

    now: int = 0
    log: Log = ()
    #: By node.
    leases: tuple[Lease, ...] = (Lease(), Lease())
    epochs: int = 0
    #: None is no process.
    nodes: tuple[Node | None, ...] = (None, None)
    puts: tuple[Put, ...] = ()
    #: By user: when a poll has ended last.
    ended: tuple[int, ...] = (0, 0)
    #: What the database has, by user: a place and a status.
    store: tuple[tuple[int, int], ...] = ((0, 0), (0, 0))
    #: The viewer's token, and what its client shows of each user.
    token: int = 0
    believes: tuple[Value, ...] = (UNTOLD, UNTOLD)
    #: By user: the place of the newest record that the viewer was told of.
    heard: tuple[int, ...] = (0, 0)
    #: By user: where the newest status is that was acknowledged; when a poll was last in flight.
    acknowledged: tuple[int, ...] = (0, 0)
    seen: tuple[int, ...] = (0, 0)
    #: Of whose poll in flight some owner has heard.
    known: frozenset[int] = frozenset()
    #: Whose poll has begun, perhaps ended, and no owner has heard of it.
    unheard: frozenset[int] = frozenset()
    #: The PUTs that were acknowledged.
    answered: frozenset[int] = frozenset()
    #: How many PUTs there have been.
    number: int = 0
    #: Which promise was broken in the step that led here.
    broken: str = ""


def owner(log: Log, user: int) -> int:
    """Return the epoch of the lease that owns the user's partition where *log* ends."""
    for record in reversed(log):
        if record.what is What.OWNED and record.user == user:
            return record.by
    return NOBODY


def last_told(log: Log, user: int) -> tuple[int, Value]:
    """Return the place of the newest record of how a user is, and what it says."""
    for place in range(len(log), 0, -1):
        record = log[place - 1]
        if record.what is What.TOLD and record.user == user:
            return place, record.value
    return 0, UNTOLD


def shares(log: Log, user: int) -> bool:
    """Tell whether the viewer and the user share a room where *log* ends."""
    for record in reversed(log):
        if record.user == user and record.what in (What.PARTED, What.MET):
            return record.what is What.MET
    return True


def truth(log: Log, user: int) -> Value:
    """Return what a viewer may believe of a user who knows all of *log*."""
    return last_told(log, user)[1] if shares(log, user) else UNTOLD


def process_of(world: World, epoch: int) -> int | None:
    """Return the node that has the lease of *epoch*, as it thinks itself."""
    for number in NODES:
        node = world.nodes[number]
        if node is not None and node.epoch == epoch != NOBODY:
            return number
    return None


def lives_at(world: World, number: int) -> bool:
    """Tell whether a node's newest lease lives."""
    lease = world.leases[number]
    return lease.epoch != NOBODY and world.now < lease.until


def lives(world: World, epoch: int) -> bool:
    """Tell whether the lease of an epoch lives."""
    return any(world.leases[it].epoch == epoch and lives_at(world, it) for it in NODES)


def node_at(world: World, number: int) -> Node:
    """Return the process of a node that has one."""
    node = world.nodes[number]
    assert node is not None
    return node


def with_node(world: World, number: int, node: Node | None) -> World:
    """Return the world with another process of a node."""
    return world._replace(nodes=replaced(world.nodes, number, node))


def replaced(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    """Return *values* with another one at an index."""
    return (*values[:index], value, *values[index + 1 :])


def without_polls(world: World, number: int, users: frozenset[int]) -> World:
    """Let the polls of *users* at a node end."""
    node = world.nodes[number]
    if node is None or not node.polls & users:
        return world
    for user in node.polls & users:
        ended = replaced(world.ended, user, world.now)
        world = world._replace(ended=ended, known=world.known - {user})
    return with_node(world, number, node._replace(polls=node.polls - users))

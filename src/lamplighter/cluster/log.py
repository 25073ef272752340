"""The log of a cluster: the stream as it is shared, the leases of nodes, and what nodes own.

A node *joins* under its name and gets a *lease*: its name and an epoch that no node has had before.
It *renews* the lease every second; a lease that is not renewed for `LEASE` ends, and nobody can
write with it any more. Each of the `PARTITIONS` has at most one owner, a lease. A partition whose
owner's lease has ended can be *taken*; an owner can *give* it to another node.

What a node *tells* is a record: it goes to every node, in one order, with the positions of its
entries. A record that concerns partitions is written only by their owner: the lease and the
ownership are checked in the same step that writes. What a node *says* goes to one other node.

An example, with two nodes and one of the 64 partitions:

    a: join            -> lease a/1
    a: take {7}        -> Owned(a/1, {7}) is in the log at 4
    a: tell {7} "x"    -> ToldToAll(a/1, "x") is in the log at 5
    a stops for 6 s; its lease ends
    b: join, take {7}  -> lease b/2; Owned(b/2, {7}) is in the log at 6
    a: tell {7} "y"    -> LeaseLost: nothing is written

Nodes that differ in certain facts may not live at the same time. Nodes that change such a fact
together *agree* on it: in one step, which leaves no time for a node that does not take part.

A log whose data are lost has another *birth* when nodes join again. Its positions go on above the
largest that any of them knows, so a position never comes twice. The node that joins first may not
be the one that knows most: so a node that knows a position which this log may have given again, or
has lost, lets the log begin once more, above that position. All leases end then.

    the log ends at 9; a has read 9; all data are lost, and the clock is set back
    c starts, and joins: the log begins at 7
    a joins, and knows 9: the log begins at 10; c has lost its lease, and joins again
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, NewType, Protocol, TypeAlias

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.cluster.parts import Part, ToldValue
from lamplighter.cluster.positions import RECORD
from lamplighter.ids import StreamPosition

__all__ = [
    "LEASE",
    "PARTITIONS",
    "Agreed",
    "Birth",
    "ClusterStanding",
    "Lease",
    "Log",
    "LogNews",
    "LogRecord",
    "MessageId",
    "NodeFacts",
    "NodeName",
    "NodeStanding",
    "Owned",
    "PartitionId",
    "Said",
    "ToldToAll",
]

#: A lease ends if it was not renewed for so long, by the clock of the log.
LEASE: Final = timedelta(seconds=4)
#: The number of partitions: users are hashed to them.
PARTITIONS: Final = 64

#: The name that the operator gives a node: letters, digits, `-`, `_` and `.`.
NodeName = NewType("NodeName", str)
#: The number of a partition, from 0.
PartitionId = NewType("PartitionId", int)
#: Which data the log has: another one after a loss of all data.
Birth = NewType("Birth", str)
#: The ID of a message in a node's inbox; `""` is before the first one.
MessageId = NewType("MessageId", str)


class Lease(msgspec.Struct, frozen=True, order=True):
    """The right of one node to write, from its `join` until the lease ends."""

    node: NodeName
    #: Larger than that of every lease before it. Where the log has lost its data: of every lease of
    #: this node, and of every lease of whose records the node knows that begins it again.
    epoch: int


class NodeFacts(msgspec.Struct, frozen=True):
    """What a node says of itself when it joins."""

    #: Where people find the node.
    address: str
    #: By its name, each fact in which the nodes of a server may not differ. A version for example.
    alike: Mapping[str, str]
    #: By a value of `alike` that is a digest, what it is made of: to say what differs. It is not
    #: compared, and a node of another version may not say it.
    parts: Mapping[str, tuple[Part, ...]] = {}

    def having(self, fact: str, told: ToldValue) -> "NodeFacts":
        """Return these facts with another value of one *fact*."""
        parts = {it: of for it, of in self.parts.items() if it != self.alike.get(fact)}
        if told.parts is not None:
            parts[told.text] = told.parts
        return NodeFacts(self.address, {**self.alike, fact: told.text}, parts)

    def unlike(self, name: NodeName, theirs: "NodeFacts") -> str | None:
        """Return the first fact that differs from the node *name*, and how; None if none does."""
        for fact in sorted(self.alike.keys() | theirs.alike.keys()):
            here, there = self.told(fact), theirs.told(fact)
            if here.text != there.text:
                how = here.unlike(there)
                if how is not None:
                    return f"{fact}: not as at node {name}: {how}"
                return f"{fact}: {here.text} at this node, {there.text} at node {name}"
        return None

    def told(self, fact: str) -> ToldValue:
        """Return what this node says of a *fact*."""
        text = self.alike.get(fact)
        return ToldValue("not set", ()) if text is None else ToldValue(text, self.parts.get(text))


class NodeStanding(msgspec.Struct, frozen=True):
    """One living node."""

    lease: Lease
    address: str
    #: Up to where the node has applied the log, as of its last `renew`.
    applied: StreamPosition


class ClusterStanding(msgspec.Struct, frozen=True):
    """How the cluster is at one moment."""

    #: By their names.
    nodes: tuple[NodeStanding, ...]
    #: The owner of each partition that has one whose lease lives.
    owners: Mapping[PartitionId, Lease]
    #: The position of the newest entry; where the log begins if there is none.
    head: StreamPosition
    #: The log has every record after this position; older ones may have been deleted.
    complete_after: StreamPosition
    #: The time of the log's clock.
    now: Timestamp
    birth: Birth

    def owned_by(self, lease: Lease) -> frozenset[PartitionId]:
        """Return what *lease* owns."""
        return frozenset(it for it, owner in self.owners.items() if owner == lease)


class ToldToAll(msgspec.Struct, frozen=True):
    """A record that a node has told to all."""

    #: The position of the record's last entry.
    position: StreamPosition
    by: Lease
    #: How many entries the record has. Each position is `positions.RECORD` after the one before.
    count: int
    payload: bytes

    @property
    def positions(self) -> Sequence[StreamPosition]:
        """The positions of the entries."""
        first = self.position - (self.count - 1) * RECORD
        return [StreamPosition(it) for it in range(first, self.position + 1, RECORD)]


class Owned(msgspec.Struct, frozen=True):
    """From this position on, *owner* owns *partitions*."""

    position: StreamPosition
    owner: Lease
    partitions: frozenset[PartitionId]


class Agreed(msgspec.Struct, frozen=True):
    """From this position on, *alike* are the facts in which no node may differ."""

    position: StreamPosition
    by: Lease
    alike: Mapping[str, str]


LogRecord: TypeAlias = ToldToAll | Owned | Agreed


class Said(msgspec.Struct, frozen=True):
    """A message in a node's inbox."""

    id: MessageId
    by: Lease
    payload: bytes


class LogNews(msgspec.Struct, frozen=True):
    """What a `read` has found."""

    #: In the order of their positions.
    records: tuple[LogRecord, ...]
    #: In the order in which they were said.
    messages: tuple[Said, ...]


class Log(Protocol):
    """The log of one cluster, as one node reaches it.

    Every method raises `LogUnreachable` if the log does not answer in time; then it is unknown
    whether what was to be written is written. A method that takes the node's own lease raises
    `LeaseLost` if that lease has ended.
    """

    async def join(self, name: NodeName, facts: NodeFacts, floor: StreamPosition) -> Lease:
        """Return a new lease; positions go on above *floor*, a position that this node knows.

        Where the log has no data, it begins here. It begins anew if it has not come to *floor*, or
        if this node has joined other data before, and these began before *floor*.

        Raises `NodeNameInUse` while a lease of that name lives, and `NodesDiffer`, which names the
        fact, if a living node has another value for one of `facts.alike`, or if one of the two
        lacks it.
        """

    async def renew(self, lease: Lease, applied: StreamPosition) -> ClusterStanding:
        """Let *lease* live for another `LEASE`; return how the cluster is.

        Raises `LeaseLost`, too, if the log has not come to *applied*: it has lost its newest data.
        """

    async def standing(self) -> ClusterStanding:
        """Return how the cluster is, for a program that is no node.

        Raises `LogLost` if the log has no data.
        """

    async def take(
        self, lease: Lease, partitions: Collection[PartitionId]
    ) -> frozenset[PartitionId]:
        """Own those of *partitions* that no living node owns; return these.

        If there are any, the log has a record `Owned` of it.
        """

    async def give(
        self, lease: Lease, heir: Lease, partitions: Collection[PartitionId]
    ) -> frozenset[PartitionId]:
        """Let *heir* own those of *partitions* that *lease* owns; return these: none if it is gone.

        If there are any, the log has a record `Owned` of it.
        """

    async def leave(self, lease: Lease) -> None:
        """End the lease at once. What it still owns can be taken. Does nothing if it has ended."""

    async def tell(
        self, lease: Lease, partitions: Collection[PartitionId], payload: bytes, count: int
    ) -> StreamPosition:
        """Append a record of *count* entries, one or more; return the position of the last.

        Raises `LeaseLost`, too, if *lease* does not own all *partitions*.
        """

    async def agree(self, lease: Lease, nodes: Collection[Lease], facts: NodeFacts) -> bool:
        """Put *facts*, but for the address, in the place of those of all, if only *nodes* live.

        Tells whether that is so. If it is, the log has a record `Agreed` of it.
        """

    async def say(self, lease: Lease, to: Lease, payloads: Sequence[bytes]) -> bool:
        """Put *payloads* into the inbox of *to*; tell whether that lease lives.

        A message that is not read is deleted after a minute.
        """

    async def head(self) -> StreamPosition:
        """Return the position of the newest entry; where the log begins if there is none.

        Raises `LogLost` if the log does not have the data of this node's last `join`.
        """

    async def read(
        self, lease: Lease, after: StreamPosition, inbox_after: MessageId, longest: timedelta
    ) -> LogNews:
        """Wait until there are records after *after*, or messages to *lease* after *inbox_after*.

        Returns nothing after *longest*. Returns a limited number of each; the next call returns the
        next ones. Raises `LogLost`, after *longest* at the latest, if records after *after* may be
        missing: *after* is before `ClusterStanding.complete_after`, the data were lost, or the log
        does not have (any more) what this node has read. The lease is not checked.
        """

    async def close(self) -> None:
        """Close the connections."""

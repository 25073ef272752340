"""What the server of a cluster's log holds, and each step that changes it, without any waiting.

`LogData` is the plain and slow model of what the scripts for a real server do.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after
from lamplighter.cluster.log import (
    LEASE,
    Agreed,
    Birth,
    ClusterStanding,
    Lease,
    LogNews,
    LogRecord,
    MessageId,
    NodeFacts,
    NodeName,
    NodeStanding,
    Owned,
    PartitionId,
    Said,
    ToldToAll,
)
from lamplighter.cluster.positions import BEGINNING, RECORD, at_time, instant_of, record_of
from lamplighter.errors import LeaseLost, LogLost, NodeNameInUse, NodesDiffer
from lamplighter.ids import StreamPosition

__all__ = ["LogData"]

#: How many records, and how many messages, one step of reading returns.
_AT_ONCE: Final = 100


class _Node:
    def __init__(self, lease: Lease, facts: NodeFacts, until: Timestamp) -> None:
        self.lease = lease
        self.facts = facts
        self.until = until
        self.applied = BEGINNING
        self.inbox: list[Said] = []


class LogData:
    """The data of one log from its birth on. Every step has the time of the log's clock."""

    def __init__(
        self,
        birth: Birth,
        floor: StreamPosition,
        kept: timedelta,
        now: Timestamp,
        epoch: int = 0,
    ) -> None:
        """Begin above *floor*, and not before *now*. Records are kept for the time *kept*.

        *epoch* is the largest that was given.
        """
        self.birth = birth
        self._kept = kept
        #: The newest record; at first, where the log begins.
        self.head = StreamPosition(max(record_of(floor) + RECORD, at_time(now)))
        self._floor = self.began = self.head
        #: The newest record that is not kept any more; at first, where the log begins.
        self._start = self.head
        self._epoch = epoch
        self._nodes: dict[NodeName, _Node] = {}
        self._owners: dict[PartitionId, Lease] = {}
        self._records: list[LogRecord] = []
        self._said = 0

    def begun_anew(self, birth: Birth, floor: StreamPosition, now: Timestamp) -> "LogData":
        """Return what takes the place of these data."""
        floor = max(floor, self.head, self._floor)
        return LogData(birth, floor, self._kept, now, self._epoch)

    def admit(self, name: NodeName, facts: NodeFacts, now: Timestamp) -> None:
        """Raise `NodeNameInUse` or `NodesDiffer` if a node may not join."""
        self.expire(now)
        if name in self._nodes:
            raise NodeNameInUse(f"a living node has the name {name}")
        for node in self._nodes.values():
            if difference := facts.unlike(node.lease.node, node.facts):
                raise NodesDiffer(difference)

    def join(
        self, name: NodeName, facts: NodeFacts, floor: StreamPosition, now: Timestamp
    ) -> Lease:
        """Give a lease whose epoch is larger than any before, here and before any loss of data.

        A position after this one is not of an earlier millisecond than the number of the epoch. So
        whoever knows of a record of this lease raises the next epoch above this one by a floor.
        """
        highest = max(self.head, self._floor, floor, at_time(now))
        self._epoch = max(self._epoch, instant_of(StreamPosition(highest))) + 1
        self._floor = StreamPosition(max(highest, at_time(Timestamp(self._epoch))))
        lease = Lease(name, self._epoch)
        self._nodes[name] = _Node(lease, facts, after(now, LEASE))
        return lease

    def renew(self, lease: Lease, applied: StreamPosition, now: Timestamp) -> ClusterStanding:
        """Prolong *lease*. If the clock was set back, no lease lives longer because of that."""
        until = after(now, LEASE)
        node = self._node(lease, now)
        if record_of(applied) > self.head:
            raise LeaseLost("the log has lost its newest data")
        node.until, node.applied = until, record_of(applied)
        for other in self._nodes.values():
            other.until = min(other.until, until)
        return self.standing(now)

    def standing(self, now: Timestamp) -> ClusterStanding:
        """Say how the cluster is."""
        self.expire(now)
        living = sorted(self._nodes.values(), key=lambda node: node.lease)
        leases = {node.lease for node in living}
        return ClusterStanding(
            tuple(NodeStanding(node.lease, node.facts.address, node.applied) for node in living),
            {it: owner for it, owner in sorted(self._owners.items()) if owner in leases},
            self.head,
            self._start,
            now,
            self.birth,
        )

    def take(
        self, lease: Lease, partitions: Collection[PartitionId], now: Timestamp
    ) -> frozenset[PartitionId]:
        """Let *lease* own what no living node owns."""
        self._node(lease, now)
        owned = self.standing(now).owners
        return self._own(lease, frozenset(partitions) - owned.keys(), now)

    def give(
        self,
        lease: Lease,
        heir: Lease,
        partitions: Collection[PartitionId],
        now: Timestamp,
    ) -> frozenset[PartitionId]:
        """Let *heir* own what *lease* owns."""
        self._node(lease, now)
        if not self._lives(heir, now):
            return frozenset()
        given = {it for it in partitions if self._owners.get(it) == lease}
        return self._own(heir, frozenset(given), now)

    def leave(self, lease: Lease) -> None:
        """End *lease*."""
        node = self._nodes.get(lease.node)
        if node is not None and node.lease == lease:
            del self._nodes[lease.node]

    def tell(
        self,
        lease: Lease,
        partitions: Collection[PartitionId],
        payload: bytes,
        count: int,
        now: Timestamp,
    ) -> StreamPosition:
        """Append a record if *lease* owns all *partitions*."""
        self._node(lease, now)
        if any(self._owners.get(it) != lease for it in partitions):
            raise LeaseLost(f"{lease.node} does not own all the partitions")
        position = self._next(count, now)
        self._append(ToldToAll(position, lease, count, payload), now)
        return position

    def agree(
        self, lease: Lease, nodes: Collection[Lease], facts: NodeFacts, now: Timestamp
    ) -> bool:
        """Let every node say *facts* of itself, if all who live are of *nodes*."""
        self._node(lease, now)
        if any(node.lease not in nodes for node in self._nodes.values()):
            return False
        for node in self._nodes.values():
            node.facts = NodeFacts(node.facts.address, facts.alike, facts.parts)
        self._append(Agreed(self._next(1, now), lease, facts.alike), now)
        return True

    def say(self, lease: Lease, to: Lease, payloads: Sequence[bytes], now: Timestamp) -> bool:
        """Put *payloads* into the inbox of *to*, if it lives."""
        self._node(lease, now)
        if not self._lives(to, now):
            return False
        for payload in payloads:
            self._said += 1
            said = Said(MessageId(f"{self._said}"), lease, payload)
            self._nodes[to.node].inbox.append(said)
        return True

    def has(self, position: StreamPosition) -> bool:
        """Tell whether a record is at *position*, or the log begins there."""
        before = bisect_left(self._records, position, key=_position)
        return position == self._start or (
            before < len(self._records) and self._records[before].position == position
        )

    def news(self, lease: Lease, after: StreamPosition, inbox_after: MessageId) -> LogNews:
        """Return the first records after *after*, and the first messages after *inbox_after*."""
        if after < self._start or record_of(after) > self.head:
            raise LogLost("the log does not have what this node has not read")
        first = bisect_right(self._records, after, key=_position)
        node = self._nodes.get(lease.node)
        inbox = [] if node is None or node.lease != lease else node.inbox
        read = int(inbox_after or 0)
        messages = [message for message in inbox if int(message.id) > read]
        return LogNews(tuple(self._records[first : first + _AT_ONCE]), tuple(messages[:_AT_ONCE]))

    def expire(self, now: Timestamp) -> None:
        """Forget the leases that have ended. They do not live again if the clock is set back."""
        self._nodes = {name: node for name, node in self._nodes.items() if now < node.until}

    def _lives(self, lease: Lease, now: Timestamp) -> bool:
        self.expire(now)
        node = self._nodes.get(lease.node)
        return node is not None and node.lease == lease

    def _node(self, lease: Lease, now: Timestamp) -> _Node:
        if not self._lives(lease, now):
            raise LeaseLost(f"the lease of {lease.node} has ended")
        return self._nodes[lease.node]

    def _own(
        self, owner: Lease, partitions: frozenset[PartitionId], now: Timestamp
    ) -> frozenset[PartitionId]:
        if partitions:
            self._owners.update(dict.fromkeys(partitions, owner))
            self._append(Owned(self._next(1, now), owner, partitions), now)
        return partitions

    def _next(self, count: int, now: Timestamp) -> StreamPosition:
        """Return the position of the last of *count* new entries."""
        if count < 1:
            raise ValueError("a record has an entry")
        first = max(record_of(max(self.head, self._floor)) + RECORD, at_time(now))
        return StreamPosition(first + (count - 1) * RECORD)

    def _append(self, record: LogRecord, now: Timestamp) -> None:
        self._records.append(record)
        self.head = record.position
        oldest = at_time(after(now, -self._kept))
        while self._records[0].position < oldest:
            self._start = self._records.pop(0).position


def _position(record: LogRecord) -> StreamPosition:
    return record.position

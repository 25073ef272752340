"""How a cluster is, for its operator: which nodes live, what each owns, and what is wrong.

A node tells with each renewal how far it has applied the log. What it has not applied yet may be a
record of this millisecond, or one of an hour ago after which nothing else was told; so positions do
not say how far a node is behind. `ClusterWatch` looks at the cluster again and again, and remembers
when it saw the log grow. The *lag* of a node is the time since the log has had something that the
node has not applied. It is too small by the time between two looks at most, and too large by the
time between two renewals.

    look at 0.0 s: the log ends at 7, b has applied 7    b's lag is 0
    look at 0.5 s: the log ends at 9, b has applied 7    0: just now there is something
    look at 1.0 s: the log ends at 9, b has applied 7    0.5 s
"""

from collections import deque
from datetime import timedelta
from typing import Final

import msgspec

from lamplighter.clock import Timestamp, milliseconds
from lamplighter.cluster.log import (
    PARTITIONS,
    Birth,
    ClusterStanding,
    NodeName,
    NodeStanding,
)
from lamplighter.cluster.positions import BEGINNING, format_position
from lamplighter.ids import StreamPosition

__all__ = ["BEHIND", "ClusterCondition", "ClusterWatch", "NodeCondition"]

#: A node with a longer lag is behind.
BEHIND: Final = timedelta(seconds=2)
#: So many ends of the log are remembered. A lag is counted from the first of them at most.
_MOST_REMEMBERED: Final = 120


class NodeCondition(msgspec.Struct, frozen=True):
    """One living node."""

    name: NodeName
    #: Where the node serves, as its configuration says.
    address: str
    #: Of its lease. It is the millisecond in which the node joined, or slightly more.
    epoch: int
    #: How many partitions it owns.
    partitions: int
    #: In milliseconds; None while the node starts.
    lag_ms: int | None


class ClusterCondition(msgspec.Struct, frozen=True):
    """A cluster at one moment."""

    #: By the clock of the log.
    now_ts: Timestamp
    #: Where the log ends.
    position: str
    #: Another one after a loss of the log's data.
    birth: Birth
    #: By their names.
    nodes: list[NodeCondition]
    #: How many partitions have no owner.
    unowned: int
    #: What is wrong, in sentences.
    problems: list[str]
    #: Whether it is told by a node that cannot know how the cluster is now.
    is_old: bool = False


class ClusterWatch:
    """Makes conditions of standings, which it is shown again and again."""

    def __init__(self) -> None:
        self._birth: Birth | None = None
        #: Where the log ended, and when that was seen first.
        self._ends: deque[tuple[StreamPosition, Timestamp]] = deque(maxlen=_MOST_REMEMBERED)

    def remember(self, standing: ClusterStanding) -> None:
        """Remember where the log ends."""
        if standing.birth != self._birth:
            self._birth = standing.birth
            self._ends.clear()
        if not self._ends or standing.head > self._ends[-1][0]:
            self._ends.append((standing.head, standing.now))

    def look(self, standing: ClusterStanding) -> ClusterCondition:
        """Return how the cluster is, and remember where the log ends."""
        self.remember(standing)
        nodes = [self._node(it, standing) for it in standing.nodes]
        unowned = PARTITIONS - len(standing.owners)
        return ClusterCondition(
            standing.now,
            format_position(standing.head),
            standing.birth,
            nodes,
            unowned,
            [
                *([f"{unowned} of {PARTITIONS} partitions have no owner"] if unowned else []),
                *(_behind(it) for it in nodes if it.lag_ms and it.lag_ms > milliseconds(BEHIND)),
                *(
                    f"node {it.lease.node} has read what the log does not have: data are lost"
                    for it in standing.nodes
                    if it.applied > standing.head
                ),
            ],
        )

    def lag_ms(self, applied: StreamPosition, now: Timestamp) -> int:
        """Return the lag of a node that has applied the log up to *applied*, in milliseconds."""
        since = next((seen for end, seen in self._ends if end > applied), now)
        return max(0, now - since)

    def _node(self, node: NodeStanding, standing: ClusterStanding) -> NodeCondition:
        starts = node.applied == BEGINNING
        return NodeCondition(
            node.lease.node,
            node.address,
            node.lease.epoch,
            len(standing.owned_by(node.lease)),
            None if starts else self.lag_ms(node.applied, standing.now),
        )


def _behind(node: NodeCondition) -> str:
    return f"node {node.name} is {(node.lag_ms or 0) / 1000:.1f} s behind the log"

"""What an operator sees of a cluster at one of its nodes."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from lamplighter.clock import Clock, milliseconds
from lamplighter.cluster.condition import BEHIND, ClusterCondition, ClusterWatch
from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.log import NodeName
from lamplighter.cluster.shared import SharedStream
from lamplighter.metrics import ClusterReadings
from lamplighter.service.owners import Owners

__all__ = ["ClusterView"]


@dataclass(eq=False)
class ClusterView:
    """The cluster as of this node's last renewal, and this node as of now."""

    name: NodeName
    clock: Clock
    holder: LeaseHolder
    stream: SharedStream
    owners: Owners
    _watch: ClusterWatch = field(init=False, default_factory=ClusterWatch)
    _has_caught_up: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.holder.watch(self._watch.remember)

    def problem(self) -> str | None:
        """Return why this node is not ready for clients, in two words; None if it is.

        A node that starts has to read first what was told meanwhile.
        """
        if self.holder.lease is None:
            return "no lease"
        self._has_caught_up |= self.stream.read_until >= self.holder.standing.head
        is_behind = self._lag_ms() > milliseconds(BEHIND)
        return None if self._has_caught_up and not is_behind else "catching up"

    def condition(self) -> ClusterCondition:
        """Return how the cluster is."""
        condition = self._look()
        if self.holder.lease is not None:
            return condition
        alone = f"node {self.name}, which tells this, has no lease: what it tells is old"
        return replace(condition, problems=[alone, *condition.problems], is_old=True)

    def readings(self) -> ClusterReadings:
        """Return the values for the metrics."""
        condition = self._look()
        return ClusterReadings(
            nodes=len(condition.nodes),
            partitions=len(self.owners.users.partitions),
            unowned=condition.unowned,
            lag_seconds=self._lag_ms() / 1000,
            leases=int(self.holder.lease is not None),
            leases_lost=self.holder.lost,
            records_told=self.stream.records_told,
            records_read=self.stream.records_read,
            events_said=self.owners.waiting.said,
            events_waiting=len(self.owners.waiting),
        )

    def _look(self) -> ClusterCondition:
        return self._watch.look(self.holder.standing)

    def _lag_ms(self) -> int:
        return self._watch.lag_ms(self.stream.read_until, self.clock.now())

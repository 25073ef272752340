"""The figures of the server at this moment, for metrics and for operators."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lamplighter.clock import Clock, Timestamp
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition
from lamplighter.metrics import Metrics
from lamplighter.presence.state import Presence
from lamplighter.service.roster import Roster

__all__ = ["Census", "Figures"]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures at one moment."""

    at: Timestamp
    #: Users who were ever heard of, by their presence; those of other servers too.
    users: Mapping[Presence, int]
    #: Viewers to whom changes are delivered as they happen.
    outboxes: int
    #: Polls that wait.
    polls: int
    #: Since the start: updates handed to watchers, and answered syncs.
    delivered: int
    syncs: int
    #: Processor time that the process has used, user and system, in seconds.
    cpu_seconds: float
    #: The newest position in the stream of changes.
    position: StreamPosition


@dataclass(eq=False)
class Census:
    """Counts when it is asked."""

    clock: Clock
    roster: Roster
    feed: Feed
    metrics: Metrics
    cpu_seconds: Callable[[], float]

    def take(self) -> Figures:
        """Return the figures; the work is in proportion to the users."""
        found = Counter(state.state for state in self.roster.known())
        counts = self.metrics.counts
        return Figures(
            at=self.clock.now(),
            users={presence: found[presence] for presence in Presence},
            outboxes=len(self.feed.viewers),
            polls=sum(len(viewer.polls) for viewer in self.feed.viewers.values()),
            delivered=counts.delivered,
            syncs=counts.syncs,
            cpu_seconds=self.cpu_seconds(),
            position=self.feed.position,
        )

"""How many there are of everything at this moment, for metrics and for operators."""

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
    """One look at the server."""

    at: Timestamp
    #: Users who were ever heard of, by their presence; those of other servers too.
    users: Mapping[Presence, int]
    #: Viewers who are told of changes as they happen.
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


class Census:
    """Counts when it is asked."""

    def __init__(
        self,
        *,
        clock: Clock,
        roster: Roster,
        feed: Feed,
        metrics: Metrics,
        cpu_seconds: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._roster = roster
        self._feed = feed
        self._metrics = metrics
        self._cpu_seconds = cpu_seconds

    def take(self) -> Figures:
        """Return how things stand; it takes a look at every user."""
        found = Counter(state.state for state in self._roster.known())
        counts = self._metrics.counts
        return Figures(
            at=self._clock.now(),
            users={presence: found[presence] for presence in Presence},
            outboxes=len(self._feed.viewers),
            polls=counts.polls,
            delivered=counts.delivered,
            syncs=counts.syncs,
            cpu_seconds=self._cpu_seconds(),
            position=self._feed.position,
        )

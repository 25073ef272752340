"""Viewers who get one snapshot of all online users, with their next `/sync`."""

from typing import Final

from lamplighter.cluster.entries import SnapshotFor
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition, UserId
from lamplighter.recent import Recent
from lamplighter.service.views import Views

__all__ = ["MOST_SNAPSHOTS", "Snapshots"]

#: At most this many viewers are owed a snapshot; beyond that, those owed longest get none.
MOST_SNAPSHOTS: Final = 20_000


class Snapshots:
    """Remembers to whom a snapshot is owed, and until which position."""

    def __init__(self, feed: Feed, views: Views, most: int = MOST_SNAPSHOTS) -> None:
        self._feed = feed
        self._views = views
        #: Tokens of the viewer from before the position get the snapshot.
        self._owed: Recent[UserId, StreamPosition] = Recent(most)
        #: Whether a snapshot is owed to anybody: every poll looks at this first.
        self.are_owed = False

    def is_owed(self, viewer: UserId, position: StreamPosition) -> bool:
        """Tell whether a token of *viewer* from *position* gets a snapshot."""
        return position < (self._owed.peek(viewer) or position)

    def owe(self, position: StreamPosition, entry: SnapshotFor) -> None:
        """Owe each viewer a snapshot, by what modules answer from now on."""
        for viewer in entry.viewers:
            self._views.forget_interest(viewer)
            self._owed.put(viewer, position)
            self.are_owed = True
        self._feed.wake(entry.viewers)

    def forget(self, viewer: UserId) -> None:
        """Owe nothing to a viewer who does not return."""
        self._owed.drop(viewer)
        self.are_owed = len(self._owed) > 0

"""The ends of visibility, for clients that return with a token from before an end.

They are for viewers who return with a token from before an end. A viewer who has an outbox finds
the same there.
"""

from collections.abc import Mapping
from typing import Final

from lamplighter.ids import StreamPosition, UserId
from lamplighter.recent import Recent

__all__ = ["MOST_ENDINGS", "Endings"]

#: At most this many pairs of viewer and user are remembered. Beyond that the viewers who lost
#: visibility longest ago are forgotten: their clients show what they showed until their next first
#: sync.
MOST_ENDINGS: Final = 200_000


class Endings:
    """Viewer to user to the position at which the viewer's visibility of the user ended."""

    def __init__(self, most: int = MOST_ENDINGS) -> None:
        """Remember *most* pairs."""
        self._most = most
        #: The viewers in the order in which they last lost visibility of somebody.
        self._ended: Recent[UserId, dict[UserId, StreamPosition]] = Recent(most)
        self._changed: set[UserId] = set()

    def __len__(self) -> int:
        """Return how many pairs are remembered."""
        return self._ended.weight

    def put(self, viewer: UserId, user_id: UserId, position: StreamPosition) -> None:
        """Remember that tokens of *viewer* from before *position* have not heard of the end."""
        ended = self._ended.peek(viewer)
        if ended is None:
            ended = {}
        before = ended.pop(user_id, position)
        ended[user_id] = max(before, position)
        if len(ended) > self._most:
            del ended[next(iter(ended))]
        displaced = self._ended.put(viewer, ended, len(ended))
        self._changed.update((viewer, *(it for it, _ in displaced)))

    def after(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return of whom tokens of *viewer* from *position* have not heard that it has ended."""
        ended = self._ended.peek(viewer)
        return {it for it, at in ended.items() if at > position} if ended else set()

    def of(self, viewer: UserId) -> Mapping[UserId, StreamPosition]:
        """Return all that is remembered of *viewer*."""
        return self._ended.peek(viewer) or {}

    def forget(self, viewer: UserId) -> None:
        """Forget what is remembered of a viewer who does not return."""
        self._changed.add(viewer)
        self._ended.drop(viewer)

    def take_changed(self) -> set[UserId]:
        """Return of which viewers other things are remembered than when this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

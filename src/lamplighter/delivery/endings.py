"""Of whom viewers have been told nothing since they may not see them any more.

It is for the viewers who return with a token from before: who has an outbox finds the same there.
"""

from collections.abc import Mapping
from typing import Final

from lamplighter.ids import StreamPosition, UserId

__all__ = ["MOST_ENDINGS", "Endings"]

#: So many pairs of viewer and user are remembered. Beyond that the viewers who lost visibility
#: longest ago are forgotten: their clients show what they showed until their next first sync.
MOST_ENDINGS: Final = 200_000


class Endings:
    """Viewer to user to the position at which the viewer's visibility of the user ended."""

    def __init__(self, most: int = MOST_ENDINGS) -> None:
        """Remember *most* pairs."""
        self._most = most
        #: The viewers in the order in which they last lost visibility of somebody.
        self._ended: dict[UserId, dict[UserId, StreamPosition]] = {}
        self._count = 0
        self._changed: set[UserId] = set()

    def __len__(self) -> int:
        """Return how many pairs are remembered."""
        return self._count

    def put(self, viewer: UserId, user_id: UserId, position: StreamPosition) -> None:
        """Remember that tokens of *viewer* from before *position* have not heard of the end."""
        self._changed.add(viewer)
        ended = self._ended.pop(viewer, None) or {}
        self._ended[viewer] = ended  # at the end of the order
        before = ended.pop(user_id, None)
        ended[user_id] = position if before is None else max(before, position)
        if before is None:
            self._count += 1
            self._make_room()

    def after(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return of whom tokens of *viewer* from *position* have not heard that it has ended."""
        ended = self._ended.get(viewer)
        return {it for it, at in ended.items() if at > position} if ended else set()

    def of(self, viewer: UserId) -> Mapping[UserId, StreamPosition]:
        """Return all that is remembered of *viewer*."""
        return self._ended.get(viewer, {})

    def forget(self, viewer: UserId) -> None:
        """Forget what is remembered of a viewer who does not return."""
        self._changed.add(viewer)
        self._count -= len(self._ended.pop(viewer, ()))

    def take_changed(self) -> set[UserId]:
        """Return of which viewers other things are remembered than when this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

    def _make_room(self) -> None:
        while self._count > self._most:
            viewer, ended = next(iter(self._ended.items()))
            if len(self._ended) > 1:
                self.forget(viewer)
            else:  # all of them are one viewer's
                del ended[next(iter(ended))]
                self._count -= 1

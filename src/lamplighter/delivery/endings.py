"""The ends of visibility, for clients that return with a token from before an end.

They are for viewers who return with a token from before an end. A viewer who has an outbox finds
the same there.

Most ends are remembered one by one. A module that takes back all users ends visibility of thousands
for a viewer at once: a *crowd*. It is remembered for all such viewers together, so that it does not
displace the ends of others.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from lamplighter.ids import StreamPosition, UserId
from lamplighter.recent import Recent

__all__ = ["MOST_ENDINGS", "Endings"]

#: At most this many pairs of viewer and user are remembered. Beyond that the viewers who lost
#: visibility longest ago are forgotten: their clients show what they showed until their next first
#: sync.
MOST_ENDINGS: Final = 200_000
#: A crowd that has grown by no more stands for the larger one, too.
_GROWN: Final = 1_000
_BEGINNING: Final = StreamPosition(0)


@dataclass(slots=True)
class _Ended:
    """What is remembered of one viewer."""

    #: The newest comes last.
    users: dict[UserId, StreamPosition] = field(default_factory=dict)
    crowd: frozenset[UserId] = frozenset()
    #: Those of the crowd who were still visible.
    spared: AbstractSet[UserId] = frozenset()
    crowd_ended: StreamPosition = _BEGINNING

    @property
    def weight(self) -> int:
        return len(self.users) + len(self.spared) + bool(self.crowd)


class Endings:
    """Viewer to user to the position at which the viewer's visibility of the user ended."""

    def __init__(self, most: int = MOST_ENDINGS) -> None:
        """Remember *most* pairs."""
        self._most = most
        #: The viewers in the order in which they last lost visibility of somebody.
        self._ended: Recent[UserId, _Ended] = Recent(most)
        #: The newest one.
        self._crowd: frozenset[UserId] = frozenset()
        self._changed: set[UserId] = set()

    def __len__(self) -> int:
        """Return how many pairs are remembered; a crowd of one viewer counts as one."""
        return self._ended.weight

    def put(self, viewer: UserId, users: Mapping[UserId, StreamPosition]) -> None:
        """Remember of each of *users*: tokens of *viewer* from before do not know that it ended."""
        ended = self._ended.peek(viewer) or _Ended()
        for user_id, position in users.items():
            before = ended.users.pop(user_id, position)
            ended.users[user_id] = max(before, position)
        for user_id in list(islice(ended.users, max(0, len(ended.users) - self._most))):
            del ended.users[user_id]
        self._put(viewer, ended)

    def put_crowd(
        self,
        viewer: UserId,
        crowd: AbstractSet[UserId],
        spared: AbstractSet[UserId],
        position: StreamPosition,
    ) -> None:
        """Remember the same of all of *crowd* but *spared*.

        Each call must be of later than the one before.
        """
        if not self._crowd <= crowd or len(crowd) - len(self._crowd) > _GROWN:
            self._crowd = frozenset(crowd)
        ended = self._ended.peek(viewer) or _Ended()
        ended.crowd, ended.spared, ended.crowd_ended = self._crowd, spared, position
        for user_id in crowd - self._crowd - spared:
            ended.users[user_id] = position
        self._put(viewer, ended)

    def _put(self, viewer: UserId, ended: _Ended) -> None:
        displaced = self._ended.put(viewer, ended, ended.weight)
        self._changed.update((viewer, *(it for it, _ in displaced)))

    def after(self, viewer: UserId, position: StreamPosition) -> set[UserId]:
        """Return of whom tokens of *viewer* from *position* have not heard that it has ended."""
        ended = self._ended.peek(viewer)
        if ended is None:
            return set()
        crowd = ended.crowd - ended.spared if ended.crowd_ended > position else ()
        return {*crowd, *(it for it, at in ended.users.items() if at > position)}

    def of(self, viewer: UserId) -> Mapping[UserId, StreamPosition]:
        """Return all that is remembered of *viewer*."""
        ended = self._ended.peek(viewer)
        if ended is None:
            return {}
        if not ended.crowd:
            return ended.users
        crowd = dict.fromkeys(ended.crowd - ended.spared, ended.crowd_ended)
        later = ((it, max(at, crowd.get(it, at))) for it, at in ended.users.items())
        return {**crowd, **dict(later)}

    def forget(self, viewer: UserId) -> None:
        """Forget what is remembered of a viewer who does not return."""
        self._changed.add(viewer)
        self._ended.drop(viewer)

    def take_changed(self) -> set[UserId]:
        """Return of which viewers other things are remembered than when this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

"""Where in the stream each user last changed, and who has changed since some place in it."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from lamplighter.cluster.positions import BEGINNING
from lamplighter.ids import StreamPosition, UserId

__all__ = ["LastChange", "LastChanges"]


class LastChange(NamedTuple):
    """A user's last announced change."""

    #: Its position.
    changed: StreamPosition
    #: The position before which tokens may not have heard of it: later, if a module was late.
    told: StreamPosition


_NEVER: Final = LastChange(BEGINNING, BEGINNING)


class LastChanges:
    """The last announced change of each user, in the order in which they were told.

    Positions never go back: what is told stands behind everything that was told before.
    """

    def __init__(self) -> None:
        self._last: dict[UserId, LastChange] = {}

    def changed(self, user_id: UserId, position: StreamPosition) -> None:
        """Take in that the user has changed at *position*."""
        self._put(user_id, LastChange(position, position))

    def told_late(self, user_id: UserId, position: StreamPosition) -> None:
        """Take in that the user's last change is told at the later *position*, to some."""
        self._put(user_id, LastChange(self.of(user_id).changed, position))

    def forget(self, user_id: UserId) -> None:
        """Forget that the user ever changed."""
        self._last.pop(user_id, None)

    def of(self, user_id: UserId) -> LastChange:
        """Return the user's last change; that of who never changed is at the beginning."""
        return self._last.get(user_id, _NEVER)

    def of_each(self, user_ids: Iterable[UserId]) -> list[LastChange]:
        """Return the last change of each, in their order: a first sync asks for thousands."""
        get = self._last.get
        return [get(user_id, _NEVER) for user_id in user_ids]

    def after(self, position: StreamPosition) -> Iterator[UserId]:
        """Return who was told of after *position*, newest first: work in proportion to them."""
        for user_id, last in reversed(self._last.items()):
            if last.told <= position:
                return
            yield user_id

    def _put(self, user_id: UserId, last: LastChange) -> None:
        self._last.pop(user_id, None)  # so that it stands at the end
        self._last[user_id] = last

"""Keys with deadlines, of which the earliest is found at once.

The deadlines are in a heap. A heap cannot move an entry, so a key that gets an earlier deadline
stays in the heap with its old deadline too. Such an entry is *stale*: it does not match the key's
present deadline, and `due` passes over it.

A deadline only becomes earlier, never later. A caller whose key is due too early finds nothing to
do and sets the next deadline. That is cheaper than a change of the heap at every event.
"""

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

from lamplighter.clock import Timestamp

__all__ = ["Deadlines"]

#: Keys with the same deadline are compared, so they must be texts.
K = TypeVar("K", bound=str)


class Deadlines(Generic[K]):
    """The deadline of each key."""

    def __init__(self) -> None:
        self._heap: list[tuple[Timestamp, K]] = []
        self._present: dict[K, Timestamp] = {}

    def put(self, key: K, deadline: Timestamp) -> None:
        """Give *key* a *deadline*, unless it has an earlier one."""
        present = self._present.get(key)
        if present is None or deadline < present:
            self._present[key] = deadline
            heapq.heappush(self._heap, (deadline, key))

    def drop(self, key: K) -> None:
        """Remove the deadline of *key*, if it has one."""
        self._present.pop(key, None)

    def next(self) -> Timestamp | None:
        """Return an instant at or before the earliest deadline; None if there are no deadlines."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: Timestamp) -> Iterator[K]:
        """Yield each key whose deadline has come, and remove its deadline."""
        while self._heap and self._heap[0][0] <= now:
            deadline, key = heapq.heappop(self._heap)
            if self._present.get(key) == deadline:
                del self._present[key]
                yield key

"""How many members each room has: a room with too many does not count.

`routing.largest_room` keeps the presence of people in large public rooms from going to all the
others there, and `routing.rooms: direct` that of people in any room but those with two members.

A room ceases to count before the join that makes it too large: whoever joins never sees it. So a
room that becomes known with all its members at once, and has too many, never counts. Each time a
room begins or ceases to count, all its members are news to each other. So a room that has ceased
begins again only when it is smaller by a tenth: one user who joins and leaves, again and again,
must not cause that each time.

Example, with at most 1,000 members: a room with 1,000 members counts. A user joins, and it ceases.
The user leaves. It begins again when it has 900 members. With at most 2 members it begins again
with 2, because a tenth of 2 is none.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lamplighter.ids import RoomId
from lamplighter.ports import MembershipChange

__all__ = ["RoomSizes", "SizeChanges", "begins_again"]


def begins_again(most: int) -> int:
    """Return with how many members a room begins to count again after it had more than *most*."""
    return most - most // 10


@dataclass(frozen=True, slots=True)
class SizeChanges:
    """What follows from joins and leaves that happen together."""

    #: The rooms that cease to count before them.
    ceased: Sequence[RoomId] = ()
    #: The rooms that begin to count after them.
    begun: Sequence[RoomId] = ()


class RoomSizes:
    """Counts members, and finds the rooms that come to have too many, or no longer have."""

    def __init__(self, most: int | None, joined: Iterable[RoomId] = ()) -> None:
        """*most* members may a room have; None: any number. *joined* has one room per member."""
        self._most = most
        self._sizes = Counter(joined if most is not None else ())
        self._large = {it for it, size in self._sizes.items() if most is not None and size > most}

    @property
    def too_large(self) -> AbstractSet[RoomId]:
        """The rooms that do not count, because they have, or had, too many members."""
        return self._large

    def changed(self, changes: Iterable[MembershipChange]) -> SizeChanges:
        """Take in joins and leaves that happen together."""
        if self._most is None:
            return SizeChanges()
        rooms = dict[RoomId, None]()
        for change in changes:
            self._sizes[change.room_id] += 1 if change.joined else -1
            rooms[change.room_id] = None
        ceased = [it for it in rooms if it not in self._large and self._sizes[it] > self._most]
        enough = begins_again(self._most)
        begun = [it for it in rooms if it in self._large and self._sizes[it] <= enough]
        self._large.update(ceased)
        self._large.difference_update(begun)
        for room_id in rooms:
            if self._sizes[room_id] <= 0:
                del self._sizes[room_id]
        return SizeChanges(ceased, begun)

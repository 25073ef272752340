"""A room's `RoomSummary`: counts, and a few members to name it after
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>).
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import memberships
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json

__all__ = ["Summary", "read_summary"]

_MAX_HEROES: Final = 5
_PRESENT: Final = (MemberState.JOIN, MemberState.INVITE)


@dataclass(frozen=True, slots=True)
class Summary:
    """A room's members, for the summaries of all viewers."""

    joined: int
    invited: int
    #: The first of those who are in the room or invited: enough, even without the viewer.
    present: tuple[str, ...]
    #: The first of all who ever were, where hardly anybody is present.
    others: tuple[str, ...]

    def of(self, viewer: UserId) -> Json:
        """Return the summary for *viewer*, without the viewer's own name."""
        heroes = [user_id for user_id in self.present if user_id != viewer]
        if not heroes:
            heroes = [user_id for user_id in self.others if user_id != viewer]
        return {
            "m.heroes": heroes[:_MAX_HEROES],
            "m.joined_member_count": self.joined,
            "m.invited_member_count": self.invited,
        }


async def read_summary(connection: AsyncConnection, room_id: RoomId) -> Summary:
    """Return the summary of a room."""
    in_room = memberships.c.room_id == room_id
    query = select(memberships.c.membership, func.count()).where(in_room)
    grouped = await connection.execute(query.group_by(memberships.c.membership))
    counts: dict[str, int] = {row[0]: row[1] for row in grouped}
    first = select(memberships.c.user_id).where(in_room).order_by(memberships.c.since_position)
    first = first.limit(_MAX_HEROES + 1)
    is_present = memberships.c.membership.in_(_PRESENT)
    present = tuple((await connection.execute(first.where(is_present))).scalars())
    others: tuple[str, ...] = ()
    if len(present) <= 1:  # perhaps it is the viewer
        others = tuple((await connection.execute(first)).scalars())
    return Summary(
        counts.get(MemberState.JOIN, 0), counts.get(MemberState.INVITE, 0), present, others
    )

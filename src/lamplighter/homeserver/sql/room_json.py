"""One joined room in a `/sync`, as JSON
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync_response-200_joined-room>).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import memberships
from lamplighter.homeserver.sql.encoded import EncodedEvent
from lamplighter.homeserver.sql.events import MEMBER
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json, Requester

__all__ = ["Moment", "RoomNews", "Summary", "beside_news", "in_pieces", "read_summary"]


_MAX_HEROES: Final = 5
_PRESENT: Final = (MemberState.JOIN, MemberState.INVITE)


@dataclass(frozen=True, slots=True)
class Summary:
    """A room's members, for the summaries of all viewers."""

    joined: int
    invited: int
    #: The first members and invited users: enough, even without the viewer.
    present: tuple[str, ...]
    #: The first of all who ever were, where at most one user is present.
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


@dataclass(frozen=True, slots=True)
class Moment:
    """The requester, the instant and the form of positions in an answer."""

    requester: Requester
    now: Timestamp
    token: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class RoomNews:
    """The changes of a room."""

    #: The state before the timeline, in the order in which it was set.
    state: Collection[EncodedEvent]
    #: Oldest first.
    timeline: Sequence[EncodedEvent]
    #: Whether there are events before the timeline that the answer leaves out.
    is_limited: bool
    #: The place in the stream just before the timeline.
    starts_after: int

    @property
    def says_something(self) -> bool:
        """Whether there is any change."""
        return bool(self.timeline or self.state or self.is_limited)

    @property
    def tells_of_members(self) -> bool:
        """Whether a membership, or a profile that it shows, is among the changes."""
        return any(event.type == MEMBER for event in (*self.state, *self.timeline))


def beside_news(summary: Json, data: Sequence[Json], ephemeral: Sequence[Json]) -> Json:
    """Return the rest of the entry of a joined room, beside state and timeline."""
    return {
        "summary": summary,
        "ephemeral": {"events": ephemeral},
        "account_data": {"events": data},
        "unread_notifications": {"highlight_count": 0, "notification_count": 0},
    }


def in_pieces(room_id: RoomId, news: RoomNews, beside: Json, moment: Moment) -> Iterator[bytes]:
    """Yield the room's ID and entry as JSON, event by event; *beside* comes after them."""
    yield b'%b:{"state":{"events":[' % msgspec.json.encode(room_id)
    yield from _each(news.state, moment)
    yield b']},"timeline":{"events":['
    yield from _each(news.timeline, moment)
    rest = {"limited": news.is_limited, "prev_batch": moment.token(news.starts_after)}
    yield b"],%b,%b" % (msgspec.json.encode(rest)[1:], msgspec.json.encode(beside)[1:])


def _each(events: Iterable[EncodedEvent], moment: Moment) -> Iterator[bytes]:
    separator = b""
    for event in events:
        yield separator + event.shown_to(moment.requester, moment.now)
        separator = b","

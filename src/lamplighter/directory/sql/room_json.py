"""One joined room in a `/sync`, as JSON
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync_response-200_joined-room>).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from lamplighter.clock import Timestamp
from lamplighter.directory.sql.encoded import EncodedEvent, encode_state, encode_timeline
from lamplighter.directory.sql.events import MEMBER
from lamplighter.ports import Json, Requester

__all__ = ["Moment", "RoomNews", "joined", "shown"]


@dataclass(frozen=True, slots=True)
class Moment:
    """For whom and when an answer is written, and how places in the stream are."""

    requester: Requester
    now: Timestamp
    token: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class RoomNews:
    """What has happened in a room."""

    #: What stood before the timeline, in the order in which it was set.
    state: Collection[EncodedEvent]
    #: Oldest first.
    timeline: Sequence[EncodedEvent]
    #: Whether there are events before the timeline that are not told.
    is_limited: bool
    #: The place in the stream just before the timeline.
    starts_after: int

    @property
    def says_something(self) -> bool:
        """Whether anything has."""
        return bool(self.timeline or self.state or self.is_limited)

    @property
    def tells_of_members(self) -> bool:
        """Whether anybody's membership, or what they show of themselves, is among it."""
        return any(event.type == MEMBER for event in (*self.state, *self.timeline))


def shown(news: RoomNews, moment: Moment) -> Json:
    """Return what has happened, as the requester's device sees it."""
    return {
        "state": {"events": encode_state(news.state, moment.now)},
        "timeline": {
            "events": encode_timeline(news.timeline, moment.requester, moment.now),
            "limited": news.is_limited,
            "prev_batch": moment.token(news.starts_after),
        },
    }


def joined(happened: Json, summary: Json, data: Sequence[Json], ephemeral: Sequence[Json]) -> Json:
    """Return the room's entry under `join`: what `shown` returned, and what stands beside it."""
    return {
        **happened,
        "summary": summary,
        "ephemeral": {"events": ephemeral},
        "account_data": {"events": data},
        "unread_notifications": {"highlight_count": 0, "notification_count": 0},
    }

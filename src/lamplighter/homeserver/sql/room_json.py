"""One joined room in a `/sync`, as JSON
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync_response-200_joined-room>).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.homeserver.sql.encoded import (
    EncodedEvent,
    encode_events,
    encode_state,
    encode_timeline,
)
from lamplighter.homeserver.sql.events import MEMBER
from lamplighter.ids import RoomId
from lamplighter.ports import Json, Requester

__all__ = ["Moment", "RoomNews", "joined", "joined_in_pieces", "shown"]

#: How many events of a room's state are written at a time.
_AT_A_TIME: Final = 100


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
        "timeline": _timeline(news, moment),
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


def joined_in_pieces(
    room_id: RoomId, news: RoomNews, beside: Json, moment: Moment
) -> Iterator[bytes]:
    """Give the room's ID and entry as JSON: what `shown` returns, and what is *beside* it."""
    yield b'%b:{"state":{"events":[' % msgspec.json.encode(room_id)
    state, separator = iter(news.state), b""
    while events := encode_events(islice(state, _AT_A_TIME), moment.now):
        yield separator + events
        separator = b","
    rest = {"timeline": _timeline(news, moment), **beside}
    yield b"]},%b" % msgspec.json.encode(rest)[1:]


def _timeline(news: RoomNews, moment: Moment) -> Json:
    return {
        "events": encode_timeline(news.timeline, moment.requester, moment.now),
        "limited": news.is_limited,
        "prev_batch": moment.token(news.starts_after),
    }

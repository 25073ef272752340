"""One joined room in a `/sync`, as JSON
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync_response-200_joined-room>).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.directory.sql.encoded import EncodedEvent, encode_list
from lamplighter.directory.sql.events import MEMBER
from lamplighter.directory.sql.pages import RoomPage
from lamplighter.ids import UserId
from lamplighter.ports import Json

__all__ = ["Moment", "RoomNews", "joined", "joined_anew", "shown"]

_NO_TXN_IDS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Moment:
    """When an answer is written, and how places in the stream are."""

    now: Timestamp
    token: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class RoomNews:
    """What has happened in a room."""

    state: Collection[EncodedEvent]
    #: Oldest first.
    timeline: Sequence[EncodedEvent]
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


def shown(news: RoomNews, moment: Moment, txn_ids: Mapping[str, str] = _NO_TXN_IDS) -> Json:
    """Return what has happened; *txn_ids*, by event ID, are those of the viewer's device."""
    return {
        "state": {"events": encode_list(news.state, moment.now)},
        "timeline": {
            "events": encode_list(news.timeline, moment.now, txn_ids),
            "limited": news.is_limited,
            "prev_batch": moment.token(news.starts_after),
        },
    }


def joined(happened: Json, summary: Json, data: list[Json]) -> Json:
    """Return the room's entry under `join`: what `shown` returned, and what stands beside it."""
    return {
        **happened,
        "summary": summary,
        "ephemeral": {"events": []},
        "account_data": {"events": data},
        "unread_notifications": {"highlight_count": 0, "notification_count": 0},
    }


def joined_anew(
    page: RoomPage,
    viewer: UserId,
    data: list[Json],
    moment: Moment,
    txn_ids: Mapping[str, str] = _NO_TXN_IDS,
) -> Json:
    """Return the entry under `join` of a room of which the viewer knows nothing yet."""
    news = RoomNews(page.state.values(), page.timeline, page.is_limited, page.starts_after)
    return joined(shown(news, moment, txn_ids), page.summary.of(viewer), data)

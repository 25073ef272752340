"""Events and joined rooms in a `/sync`, as JSON: encoded once, except for the age of an event
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync_response-200_joined-room>).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import memberships, transactions
from lamplighter.homeserver.sql.events import MEMBER, StoredEvent
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json, Requester

__all__ = [
    "EncodedEvent",
    "Moment",
    "RoomNews",
    "SentAs",
    "Summary",
    "beside_news",
    "encode_event",
    "encode_events",
    "in_pieces",
    "read_sent_as",
    "read_summary",
]


#: How many events are written at a time: each may have 64 KiB.
_AT_A_TIME: Final = 16


class SentAs(NamedTuple):
    """The device that sent an event, and its transaction ID."""

    device_id: str
    txn_id: str


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event without its room ID (<https://spec.matrix.org/latest/client-server-api/#syncing>)."""

    position: int
    event_id: str
    type: str
    state_key: str | None
    sender: UserId
    origin_server_ts: Timestamp
    #: Its JSON up to the number that is its age.
    head: bytes
    sent_as: SentAs | None = None

    def shown_to(self, requester: Requester, now: Timestamp) -> bytes:
        """Return the event as JSON, with its transaction ID if it is the requester's device's."""
        age = now - self.origin_server_ts if self.origin_server_ts < now else 0
        sent = self.sent_as
        if (
            sent is None
            or self.sender != requester.user_id
            or sent.device_id != requester.device_id
        ):
            return b"%b%d}}" % (self.head, age)
        return b'%b%d,"transaction_id":%b}}' % (self.head, age, msgspec.json.encode(sent.txn_id))


def encode_event(event: StoredEvent, sent_as: SentAs | None = None) -> EncodedEvent:
    """Return the event with its JSON, which the database has in parts."""
    shown = {
        "type": event.type,
        "sender": event.sender,
        "content": msgspec.Raw(event.content.encode()),
        "event_id": event.event_id,
        "origin_server_ts": event.origin_server_ts,
    }
    if event.state_key is not None:
        shown["state_key"] = event.state_key
    unsigned = event.unsigned.encode()[:-1]
    separator = b"," if len(unsigned) > 1 else b""
    body = msgspec.json.encode(shown)[:-1]
    head = b'%b,"unsigned":%b%b"age":' % (body, unsigned, separator)
    return EncodedEvent(
        event.position,
        event.event_id,
        event.type,
        event.state_key,
        event.sender,
        event.origin_server_ts,
        head,
        sent_as,
    )


async def encode_events(
    connection: AsyncConnection, events: Iterable[StoredEvent], sender: UserId | None = None
) -> tuple[EncodedEvent, ...]:
    """Return *events*, with transaction IDs; with *sender*, those of this user only."""
    own = [event for event in events if sender is None or event.sender == sender]
    sent_as = await read_sent_as(connection, own)
    return tuple(encode_event(event, sent_as.get(event.event_id)) for event in events)


async def read_sent_as(
    connection: AsyncConnection, sent: Iterable[StoredEvent]
) -> Mapping[str, SentAs]:
    """Return by event ID how messages among *sent* were sent; state has no transaction IDs."""
    messages = [event.event_id for event in sent if event.state_key is None]
    if not messages:
        return {}
    query = select(transactions).where(transactions.c.event_id.in_(messages))
    found = await connection.execute(query)
    return {row.event_id: SentAs(row.device_id, row.txn_id) for row in found}


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

    @property
    def heroes(self) -> frozenset[str]:
        """The heroes of all viewers."""
        return frozenset((*self.present, *self.others))

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
    """Yield the room's ID and entry as JSON, a few events at a time; *beside* comes last."""
    yield b'%b:{"state":{"events":[' % msgspec.json.encode(room_id)
    yield from _each(news.state, moment)
    yield b']},"timeline":{"events":['
    yield from _each(news.timeline, moment)
    rest = {"limited": news.is_limited, "prev_batch": moment.token(news.starts_after)}
    yield b"],%b,%b" % (msgspec.json.encode(rest)[1:], msgspec.json.encode(beside)[1:])


def _each(events: Iterable[EncodedEvent], moment: Moment) -> Iterator[bytes]:
    requester, now, rest, separator = moment.requester, moment.now, iter(events), b""
    # Not one by one: each piece passes through all generators on the way to the connection.
    while some := [event.shown_to(requester, now) for event in islice(rest, _AT_A_TIME)]:
        yield separator + b",".join(some)
        separator = b","

"""Pages of rooms for first syncs: cached in memory, and brought up to date.

All first syncs get the same page of a room: the last events, and the state from before them. Events
never change, so the page for a position never changes. A page that is behind needs only the events
since its position.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeAlias

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import events
from lamplighter.homeserver.sql.events import MEMBER, StoredEvent, read_events
from lamplighter.homeserver.sql.room_json import (
    EncodedEvent,
    RoomNews,
    Summary,
    encode_event,
    encode_events,
    read_summary,
)
from lamplighter.homeserver.sql.state import read_state, read_timeline
from lamplighter.ids import RoomId, UserId
from lamplighter.recent import Recent

__all__ = ["RoomPage", "RoomPages"]

#: Bytes of all pages together.
_MOST_KEPT: Final = 64 * 1024 * 1024
#: Bytes of an event beside its JSON, about.
_EVENT_OVERHEAD: Final = 500
#: A page that lacks more events than this is read anew.
_FAR_BEHIND: Final = 1_000

_State: TypeAlias = Mapping[tuple[str, str], EncodedEvent]
_position: Final = attrgetter("position")


@dataclass(frozen=True, slots=True)
class RoomPage:
    """A room up to some event."""

    room_id: RoomId
    #: The place of that event in the stream.
    position: int
    #: The state before the timeline, in the order in which it was set.
    state: _State
    timeline: tuple[EncodedEvent, ...]
    #: Whether there are events before the timeline.
    is_limited: bool
    #: As of that event, or of a later one: a sync always gets the whole summary.
    summary: Summary
    #: The state without the memberships of all but the senders in the timeline, and the heroes.
    state_without_members: tuple[EncodedEvent, ...]

    @classmethod
    def of(
        cls,
        room_id: RoomId,
        position: int,
        state: _State,
        timeline: tuple[EncodedEvent, ...],
        summary: Summary,
        *,
        is_limited: bool,
    ) -> "RoomPage":
        """Return the page with this state and timeline."""
        people = {event.sender for event in timeline} | summary.heroes
        without = (
            event
            for (event_type, state_key), event in state.items()
            if event_type != MEMBER or state_key in people
        )
        return cls(room_id, position, state, timeline, is_limited, summary, tuple(without))

    def news(self, viewer: UserId, *, lazily: bool) -> RoomNews:
        """Return the state and timeline of the page; *lazily* as few memberships as may be."""
        starts_after = self.timeline[0].position - 1 if self.timeline else self.position
        state: Collection[EncodedEvent] = self.state.values()
        if lazily:
            state = self._with(self.state.get((MEMBER, viewer)))
        return RoomNews(state, self.timeline, self.is_limited, starts_after)

    def _with(self, own: EncodedEvent | None) -> tuple[EncodedEvent, ...]:
        """Return `state_without_members`, and the viewer's *own* membership at its place."""
        state = self.state_without_members
        if own is None:
            return state
        place = bisect_left(state, own.position, key=_position)
        if own in state[place : place + 1]:
            return state
        return (*state[:place], own, *state[place:])

    @property
    def weight(self) -> int:
        """The bytes that the page takes, about."""
        kept = (*self.state.values(), *self.timeline)
        return sum(len(event.head) + _EVENT_OVERHEAD for event in kept)


class RoomPages:
    """The cache of pages, by room and length of the timeline."""

    def __init__(self, *, most_kept: int = _MOST_KEPT, far_behind: int = _FAR_BEHIND) -> None:
        """Cache *most_kept* bytes; read a page anew that lacks *far_behind* events."""
        self._kept: Recent[tuple[RoomId, int], RoomPage] = Recent(most_kept)
        self._far_behind = far_behind

    def at_hand(self, room_id: RoomId, limit: int, last: int) -> RoomPage | None:
        """Return the page of a room whose last event is at *last*, if it is cached.

        Its timeline has at most *limit* events.
        """
        page = self._kept.get((room_id, limit))
        return page if page is not None and page.position == last else None

    async def read(
        self, connection: AsyncConnection, room_id: RoomId, limit: int, last: int
    ) -> RoomPage:
        """Return the page up to the event at *last*, which *connection* sees."""
        key = room_id, limit
        kept = self._kept.get(key)
        if kept is not None and kept.position == last:
            return kept
        page = None
        if kept is not None and kept.position < last:
            news = await _events_between(connection, kept, last, self._far_behind)
            if len(news) < self._far_behind:
                page = await _caught_up(connection, kept, news, limit, last)
        page = page or await _read(connection, room_id, limit, last)
        kept = self._kept.get(key)
        if kept is None or kept.position < last:  # another reader may have seen more
            self._kept.put(key, page, page.weight)
        return page


async def _read(connection: AsyncConnection, room_id: RoomId, limit: int, last: int) -> RoomPage:
    admitted = and_(events.c.room_id == room_id, events.c.position <= last)
    timeline = await read_timeline(connection, admitted, limit=limit)
    state = await read_state(connection, admitted, before=timeline.starts_after + 1)
    shown = await encode_events(connection, timeline.events)
    summary = await read_summary(connection, room_id)
    past = _put({}, map(encode_event, state))
    return RoomPage.of(room_id, last, past, shown, summary, is_limited=timeline.is_limited)


async def _events_between(
    connection: AsyncConnection, page: RoomPage, last: int, most: int
) -> list[StoredEvent]:
    """Return the first events after *page*, up to *last* and not more than *most*."""
    place = events.c.position
    since = and_(events.c.room_id == page.room_id, place > page.position, place <= last)
    return await read_events(connection, select(events).where(since).order_by(place).limit(most))


async def _caught_up(
    connection: AsyncConnection,
    page: RoomPage,
    news: Sequence[StoredEvent],
    limit: int,
    last: int,
) -> RoomPage:
    """Return the page with *news*, which are all events up to *last*."""
    shown = (*page.timeline, *await encode_events(connection, news))
    beginning = max(0, len(shown) - limit)
    past, timeline = shown[:beginning], shown[beginning:]
    summary = page.summary
    if any(event.type == MEMBER for event in news):
        summary = await read_summary(connection, page.room_id)
    state, is_limited = _put(page.state, past), page.is_limited or bool(past)
    return RoomPage.of(page.room_id, last, state, timeline, summary, is_limited=is_limited)


def _put(state: _State, past: Iterable[EncodedEvent]) -> _State:
    """Return *state* once *past* events have happened."""
    state = dict(state)
    for event in past:
        if event.state_key is not None:
            key = event.type, event.state_key
            state.pop(key, None)  # so that it stands at the end
            state[key] = event
    return state

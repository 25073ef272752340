"""Rooms as those see them who know nothing of them yet: kept in memory, and brought up to date.

Everybody who joins a room, or syncs for the first time, gets the same page of it: the last events,
and the state from before them. Events never change, so a page that is behind takes no more than
the events since to catch up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import events
from lamplighter.directory.sql.encoded import EncodedEvent, encode_event
from lamplighter.directory.sql.events import MEMBER, StoredEvent, read_events
from lamplighter.directory.sql.kept import Kept
from lamplighter.directory.sql.state import View, read_state
from lamplighter.directory.sql.summary import Summary, read_summary
from lamplighter.directory.sql.timeline import read_timeline
from lamplighter.ids import RoomId

__all__ = ["RoomPage", "RoomPages"]

#: So many events are kept, in all pages together.
_MOST_EVENTS: Final = 50_000
#: A page that is further behind is read anew.
_FAR_BEHIND: Final = 1_000

State = dict[tuple[str, str], EncodedEvent]


@dataclass(frozen=True, slots=True)
class RoomPage:
    """A room up to the last event of the timeline."""

    #: What stood before the timeline, in the order in which it was set.
    state: State
    #: The last events, oldest first; there always is one.
    timeline: tuple[EncodedEvent, ...]
    #: Whether there are events before the timeline.
    is_limited: bool
    summary: Summary

    @property
    def position(self) -> int:
        """The place of the last event in the stream."""
        return self.timeline[-1].position

    @property
    def starts_after(self) -> int:
        """The place in the stream just before the first event of the timeline."""
        return self.timeline[0].position - 1


class RoomPages:
    """The pages of the rooms that were looked at lately, by the length of their timelines."""

    def __init__(self) -> None:
        self._kept: Kept[tuple[RoomId, int], RoomPage] = Kept(_MOST_EVENTS)

    def at_hand(self, room_id: RoomId, limit: int, last: int) -> RoomPage | None:
        """Return the page of a room whose last event is at *last*, if it is kept."""
        page = self._kept.get((room_id, limit))
        return page if page is not None and page.position == last else None

    async def read(
        self, connection: AsyncConnection, view: View, limit: int, last: int
    ) -> RoomPage | None:
        """Return the page that *connection* sees, with the room's *last* event in it.

        *limit* is at least 1. None for a room without events.
        """
        key = view.standing.room_id, limit
        kept = self._kept.get(key)
        if kept is not None and kept.position == last:
            return kept
        page = None
        if kept is not None and kept.position < last:
            page = await _caught_up(connection, view.standing.room_id, kept, limit)
        page = page or await _read(connection, view, limit)
        if page is not None:
            self._keep(key, page)
        return page

    def _keep(self, key: tuple[RoomId, int], page: RoomPage) -> None:
        kept = self._kept.get(key)
        if kept is None or kept.position < page.position:  # another reader may have seen more
            self._kept.put(key, page, len(page.state) + len(page.timeline))


async def _read(connection: AsyncConnection, view: View, limit: int) -> RoomPage | None:
    timeline = await read_timeline(connection, view, limit=limit)
    if not timeline.events:
        return None
    state = await read_state(connection, view, before=timeline.starts_after + 1)
    summary = await read_summary(connection, view.standing.room_id)
    encoded = tuple(map(encode_event, timeline.events))
    return RoomPage(_put({}, map(encode_event, state)), encoded, timeline.is_limited, summary)


async def _caught_up(
    connection: AsyncConnection, room_id: RoomId, page: RoomPage, limit: int
) -> RoomPage | None:
    """Return the page with all events since; None if there are too many."""
    since = select(events).where(events.c.room_id == room_id, events.c.position > page.position)
    query = since.order_by(events.c.position).limit(_FAR_BEHIND)
    news: list[StoredEvent] = await read_events(connection, query)
    if len(news) == _FAR_BEHIND:
        return None
    shown = (*page.timeline, *map(encode_event, news))
    past, timeline = shown[:-limit], shown[-limit:]
    summary = page.summary
    if any(event.type == MEMBER for event in news):
        summary = await read_summary(connection, room_id)
    return RoomPage(_put(page.state, past), timeline, page.is_limited or bool(past), summary)


def _put(state: State, past: Iterable[EncodedEvent]) -> State:
    """Return *state* once *past* events have happened."""
    state = dict(state)
    for event in past:
        if event.state_key is not None:
            key = event.type, event.state_key
            state.pop(key, None)  # so that it stands at the end
            state[key] = event
    return state

"""Reading a room's history, outside `/sync`.

Implements <https://spec.matrix.org/latest/client-server-api/#getting-events-for-a-room>.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import events
from lamplighter.errors import InvalidParam, NotFound
from lamplighter.homeserver.sql.events import MEMBER, StoredEvent, event_json, read_events
from lamplighter.homeserver.sql.filtering import EventFilter
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.limits import decode_json
from lamplighter.homeserver.sql.room_json import SentAs, read_sent_as
from lamplighter.homeserver.sql.state import View, find_view, read_memberships, read_state
from lamplighter.homeserver.values import MessagesQuery
from lamplighter.ids import RoomId
from lamplighter.ports import Json, Requester

__all__ = ["History"]

#: Events in one answer, at most.
_MOST: Final = 100
#: Events that one request examines for those that its filter wants, at most.
_MOST_EXAMINED: Final = 2_000


class History:
    """Reads the history of a room for its members and former members."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def messages(self, requester: Requester, room_id: RoomId, query: MessagesQuery) -> Json:
        """Return a piece of a room's history, as `GET /rooms/{roomId}/messages` has it.

        Raises `InvalidParam` for a token that is not of this directory.
        """
        wanted = EventFilter.of(query.filter)
        start, until = await self._place("from", query.start), await self._place("to", query.until)
        if start is None:
            start = await self._ledger.end() if query.backwards else 0
        async with self._ledger.read() as connection:
            view = await find_view(connection, room_id, requester.user_id)
            if not wanted.admits_room(room_id):
                return {"chunk": [], "start": self._ledger.stream.token(start)}
            stretch = _Stretch(view.admits(), start, until, backwards=query.backwards)
            found, end = await stretch.read(connection, wanted, min(query.limit, _MOST))
            sent_as = await read_sent_as(connection, _own(found, requester))
            members: list[StoredEvent] = []
            if found and wanted.lazy_load_members:
                senders = {event.sender for event in found}
                after = 1 + max(event.position for event in found)
                members = await read_memberships(connection, view.admits(), senders, before=after)
        has_url = query.filter.get("contains_url")
        if has_url is not None:
            urls = [decode_json(it.content).get("url") for it in found]
            pairs = zip(found, urls, strict=True)
            found = [it for it, url in pairs if isinstance(url, str) is has_url]
        page: Json = {
            "chunk": map(partial(self._shown, requester=requester, sent_as=sent_as), found),
            "start": self._ledger.stream.token(start),
        }
        if members:
            page["state"] = map(partial(event_json, now=self._ledger.now()), members)
        return page if end is None else page | {"end": self._ledger.stream.token(end)}

    async def event(self, requester: Requester, room_id: RoomId, event_id: str) -> Json:
        """Return one event; raise `NotFound` if the requester may not see such an event."""
        async with self._ledger.read() as connection:
            view = await find_view(connection, room_id, requester.user_id)
            found = await _find(connection, view, event_id)
            sent_as = await read_sent_as(connection, _own([found], requester))
        return self._shown(found, requester, sent_as)

    async def context(
        self, requester: Requester, room_id: RoomId, event_id: str, limit: int, filter: Json
    ) -> Json:
        """Return an event and its neighbours, as `GET /rooms/{roomId}/context/{eventId}` does."""
        wanted, half = EventFilter.of(filter), min(limit, _MOST) // 2
        async with self._ledger.read() as connection:
            view = await find_view(connection, room_id, requester.user_id)
            found = await _find(connection, view, event_id)
            back = _Stretch(view.admits(), found.position - 1, None, backwards=True)
            forth = _Stretch(view.admits(), found.position, None, backwards=False)
            before, _ = await back.read(connection, wanted, half)
            after, _ = await forth.read(connection, wanted, half)
            told = [*before, found, *after]
            last = after[-1] if after else found
            people: list[ColumnElement[bool]] = []
            if wanted.lazy_load_members:
                shown_members = sorted({event.sender for event in told})
                people = [or_(events.c.type != MEMBER, events.c.state_key.in_(shown_members))]
            state = await read_state(connection, view.admits(), *people, before=last.position + 1)
            sent_as = await read_sent_as(connection, _own(told, requester))
        first, token = before[-1] if before else found, self._ledger.stream.token
        shown = partial(self._shown, requester=requester, sent_as=sent_as)
        return {
            "event": shown(found),
            "events_before": map(shown, before),
            "events_after": map(shown, after),
            "state": map(partial(event_json, now=self._ledger.now()), state),
            "start": token(first.position - 1),
            "end": token(last.position),
        }

    async def _place(self, name: str, token: str | None) -> int | None:
        if token is None:
            return None
        place = await self._ledger.place(token)
        if place is None:
            raise InvalidParam(f"{name}: this server has not given out this token")
        return place

    def _shown(
        self, event: StoredEvent, requester: Requester, sent_as: Mapping[str, SentAs]
    ) -> Json:
        shown = event_json(event, self._ledger.now())
        sent = sent_as.get(event.event_id)
        if sent is not None and sent.device_id == requester.device_id:
            shown["unsigned"]["transaction_id"] = sent.txn_id
        return shown


class _Stretch:
    """The events of a room from a position to another one, or to the end, in one direction."""

    def __init__(
        self, admitted: ColumnElement[bool], start: int, until: int | None, *, backwards: bool
    ) -> None:
        place = events.c.position
        self._start = start
        self._backwards = backwards
        self._order = place.desc() if backwards else place
        if backwards:
            self._within = [admitted, place <= start, place > (until or 0)]
        else:
            self._within = [admitted, place > start]
            self._within += [] if until is None else [place <= until]

    async def read(
        self, connection: AsyncConnection, wanted: EventFilter, limit: int
    ) -> tuple[list[StoredEvent], int | None]:
        """Return the first *limit* events that are *wanted*, and the position to go on from.

        The position is None if there are no more. A filter may find fewer events before it.
        """
        within, looked_up_to = list(self._within), None
        if not wanted.admits_all:
            looked_up_to = await self._far(connection)
        if looked_up_to is not None:
            place = events.c.position
            within.append(place >= looked_up_to if self._backwards else place <= looked_up_to)
        query = select(events).where(*within, *wanted.conditions()).order_by(self._order)
        found = await read_events(connection, query.limit(limit + 1))
        if len(found) > limit:
            return found[:limit], self._behind(found[limit - 1].position) if limit else self._start
        return found, None if looked_up_to is None else self._behind(looked_up_to)

    async def _far(self, connection: AsyncConnection) -> int | None:
        """Return the place of the last event that is examined; None if all are."""
        query = select(events.c.position).where(*self._within).order_by(self._order)
        found = await connection.execute(query.offset(_MOST_EXAMINED - 1).limit(1))
        place: int | None = found.scalar_one_or_none()
        return place

    def _behind(self, position: int) -> int:
        return position - 1 if self._backwards else position


async def _find(connection: AsyncConnection, view: View, event_id: str) -> StoredEvent:
    query = select(events).where(events.c.event_id == event_id, view.admits())
    found = await read_events(connection, query)
    if not found:
        raise NotFound("The room has no such event, or you may not see it")
    return found[0]


def _own(found: Sequence[StoredEvent], requester: Requester) -> list[StoredEvent]:
    return [event for event in found if event.sender == requester.user_id]

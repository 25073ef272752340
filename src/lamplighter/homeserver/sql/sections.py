"""One room in a `/sync`, as its viewer sees it: joined, invited to, or left."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any, Final, TypeAlias

from msgspec.json import encode
from sqlalchemy import and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import current_state, events
from lamplighter.homeserver.sql.account_data import AccountDataByRoom, read_account_data
from lamplighter.homeserver.sql.events import CURRENT_EVENTS, MEMBER, StoredEvent, read_events
from lamplighter.homeserver.sql.limits import decode_json
from lamplighter.homeserver.sql.receipts import read_receipts, receipt_event
from lamplighter.homeserver.sql.room_json import (
    Moment,
    RoomNews,
    beside_news,
    encode_event,
    encode_events,
    in_pieces,
    read_summary,
)
from lamplighter.homeserver.sql.state import View, read_memberships, read_state, read_timeline
from lamplighter.homeserver.sql.typing_notices import TypingNotices, typing_event
from lamplighter.homeserver.sql.viewer import Viewer
from lamplighter.ids import RoomId
from lamplighter.ports import Json

__all__ = ["Section", "Sections"]

#: Makes a room's ID and entry as JSON.
Section: TypeAlias = Callable[[], Iterator[bytes]]

_NOBODY: Final = frozenset[str]()
_position: Final = attrgetter("position")

#: The state of the room that an invite shows, beside the invite itself.
_SHOWN_TO_INVITED: Final = (
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.create",
    "m.room.encryption",
    "m.room.join_rules",
    "m.room.name",
    "m.room.topic",
)


@dataclass(frozen=True, slots=True)
class Sections:
    """Reads the entries of single rooms for *viewer*, as they are at *moment*."""

    connection: AsyncConnection
    viewer: Viewer
    #: The account data that were set since the viewer's last sync.
    account_data: AccountDataByRoom
    typing: TypingNotices
    #: The rooms in which typing has changed since the viewer's last sync; None is any room.
    typed_in: Collection[RoomId] | None
    moment: Moment

    async def joined(self, view: View) -> Section | None:
        """Return the room's entry under `join`, or None if nothing has changed."""
        since = self.viewer.since
        is_new = since is None or view.standing.since_position > since
        is_full = is_new or self.viewer.full_state
        news = await self._news(view, 0 if is_new else since or 0, is_full=is_full)
        data = await self._room_account_data(view, is_new=is_new)
        ephemeral = await self._ephemeral(view.standing.room_id, is_new=is_full)
        if not (is_full or news.says_something or data or ephemeral):
            return None
        summary: Json = {}
        heroes = _NOBODY
        if is_full or news.tells_of_members:
            found = await read_summary(self.connection, view.standing.room_id)
            summary, heroes = found.of(view.user_id), found.heroes
        news = await self._with_members(view, news, heroes, is_full=is_full)
        return self._section(view, news, beside_news(summary, data, ephemeral))

    async def left(self, view: View) -> Section:
        """Return the room's entry under `leave`: the changes up to the end of the stay."""
        since = self.viewer.since
        is_full = since is None or self.viewer.full_state
        news = await self._news(view, since or 0, is_full=is_full)
        news = await self._with_members(view, news, is_full=is_full)
        return self._section(view, news, {"account_data": {"events": []}})

    async def invited(self, view: View) -> Section | None:
        """Return the room's entry under `invite`, of stripped events."""
        since = self.viewer.since
        if since is not None and view.standing.since_position <= since:
            return None
        own = and_(current_state.c.type == MEMBER, current_state.c.state_key == view.user_id)
        shown = and_(current_state.c.type.in_(_SHOWN_TO_INVITED), current_state.c.state_key == "")
        query = CURRENT_EVENTS.where(
            current_state.c.room_id == view.standing.room_id, or_(own, shown)
        )
        found = await read_events(self.connection, query.order_by(events.c.position))
        content = {"invite_state": {"events": [_stripped(event) for event in found]}}
        entry = b"%b:%b" % (encode(view.standing.room_id), encode(content))
        return lambda: iter((entry,))

    def _section(self, view: View, news: RoomNews, beside: Json) -> Section:
        return partial(in_pieces, view.standing.room_id, news, beside, self.moment)

    async def _news(self, view: View, after: int, *, is_full: bool) -> RoomNews:
        wanted, room_id = self.viewer.timeline, view.standing.room_id
        limit = self.viewer.filter.timeline_limit if wanted.admits_room(room_id) else 0
        timeline = await read_timeline(
            self.connection, view.admits(), *wanted.conditions(), after=after, limit=limit
        )
        shown = await encode_events(self.connection, timeline.events, view.user_id)
        news = RoomNews((), shown, timeline.is_limited, timeline.starts_after)
        if not self.viewer.state.admits_room(room_id):
            return news
        admitted = view.admits()
        if is_full and self.viewer.state.lazy_load_members:
            admitted = and_(admitted, events.c.type != MEMBER)
        state = await read_state(
            self.connection,
            admitted,
            *self.viewer.state.conditions(),
            after=0 if is_full else after,
            before=self._start_of(news),
        )
        return _with_state(news, state)

    async def _with_members(
        self, view: View, news: RoomNews, heroes: frozenset[str] = _NOBODY, *, is_full: bool
    ) -> RoomNews:
        """Return *news* with the memberships of whom they show, for a client that loads members
        lazily. The client may have got them before.
        """
        wanted = self.viewer.state
        people = {event.sender for event in news.timeline} | heroes
        if is_full:
            people.add(view.user_id)
        if not (wanted.lazy_load_members and wanted.admits_room(view.standing.room_id) and people):
            return news
        members = await read_memberships(
            self.connection,
            view.admits(),
            people,
            *wanted.conditions(),
            before=self._start_of(news),
        )
        return _with_state(news, members)

    def _start_of(self, news: RoomNews) -> int | None:
        """Return the place before which state is told as such, and not in the timeline."""
        # A filtered timeline may leave out state that the client does want.
        is_whole = self.viewer.timeline.admits_all and news.timeline
        return news.starts_after + 1 if is_whole else None

    async def _ephemeral(self, room_id: RoomId, *, is_new: bool) -> list[Json]:
        """Return the typing and receipts that have changed; of a new room, all."""
        viewer = self.viewer
        found: list[Json] = []
        if viewer.wants_ephemeral(room_id, "m.typing"):
            typists = self.typing.in_room(room_id)
            has_changed = self.typed_in is None or room_id in self.typed_in
            if typists if is_new else has_changed:
                found.append(typing_event(typists))
        if viewer.wants_ephemeral(room_id, "m.receipt"):
            after = 0 if is_new else viewer.since or 0
            user_id = viewer.requester.user_id
            receipts = await read_receipts(self.connection, room_id, user_id, after=after)
            found += [receipt_event(receipts)] if receipts else []
        return found

    async def _room_account_data(self, view: View, *, is_new: bool) -> list[Json]:
        """Return the data that were set since the last sync; of a new room, all."""
        data, room_id = self.account_data, view.standing.room_id
        if is_new and self.viewer.since is not None:
            data = await read_account_data(self.connection, view.user_id, room_id=room_id)
        return self.viewer.wanted_data(room_id, data.get(room_id, ()))


def _with_state(news: RoomNews, state: Iterable[StoredEvent]) -> RoomNews:
    """Return *news* with more *state*, as far as it is not in *news*."""
    told = {event.event_id for event in (*news.state, *news.timeline)}
    more = (encode_event(event) for event in state if event.event_id not in told)
    return replace(news, state=sorted((*news.state, *more), key=_position))


def _stripped(event: StoredEvent) -> dict[str, Any]:
    return {
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "content": decode_json(event.content),
    }

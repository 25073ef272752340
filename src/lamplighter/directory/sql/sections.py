"""One room in a `/sync`, as its viewer sees it: joined, invited to, or left."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import account_data, current_state, events, transactions
from lamplighter.directory.sql.encoded import EncodedEvent, encode_event
from lamplighter.directory.sql.events import MEMBER, StoredEvent, read_events
from lamplighter.directory.sql.limits import decode_json
from lamplighter.directory.sql.pages import RoomPage, RoomPages
from lamplighter.directory.sql.room_json import Moment, RoomNews, joined, joined_anew, shown
from lamplighter.directory.sql.state import View, read_state
from lamplighter.directory.sql.summary import read_summary
from lamplighter.directory.sql.timeline import read_timeline
from lamplighter.directory.sql.viewer import Viewer
from lamplighter.ids import UserId
from lamplighter.ports import Json

__all__ = ["AccountDataByRoom", "RoomOfUser", "Sections", "read_account_data"]

AccountDataByRoom = dict[str, list[Json]]

#: What an invite shows of the room, beside the invite itself.
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
class RoomOfUser:
    """A room to which a user has some standing."""

    view: View
    #: The place of the room's last event in the stream.
    last: int


class Sections:
    """Reads what a viewer is told of single rooms."""

    def __init__(
        self,
        connection: AsyncConnection,
        viewer: Viewer,
        account_data: AccountDataByRoom,
        moment: Moment,
        pages: RoomPages,
    ) -> None:
        """Read for *viewer* what is so at *moment*.

        *account_data* is what was set since the viewer's last sync.
        """
        self._connection = connection
        self._viewer = viewer
        self._account_data = account_data
        self._moment = moment
        self._pages = pages

    async def joined(self, room: RoomOfUser) -> Json | None:
        """Return the room's entry under `join`, or None if there is nothing to say."""
        since, view = self._viewer.since, room.view
        is_new = since is None or view.standing.since_position > since
        data = await self._room_account_data(view, is_new=is_new)
        page = await self._page(room) if is_new else None
        if page is not None:
            txn_ids = await self._txn_ids(page.timeline)
            return joined_anew(page, view.user_id, data, self._moment, txn_ids)
        is_full = is_new or self._viewer.full_state
        news = await self._news(view, 0 if is_new else since or 0, is_full=is_full)
        if not (is_full or news.says_something or data):
            return None
        summary: Json = {}
        if is_full or news.tells_of_members:
            found = await read_summary(self._connection, view.standing.room_id)
            summary = found.of(view.user_id)
        return joined(await self._shown(news), summary, data)

    async def left(self, view: View) -> Json:
        """Return the room's entry under `leave`: what happened up to the end of the stay."""
        since = self._viewer.since
        is_full = since is None or self._viewer.full_state
        news = await self._news(view, since or 0, is_full=is_full)
        return {**await self._shown(news), "account_data": {"events": []}}

    async def invited(self, view: View) -> Json | None:
        """Return the room's entry under `invite`, of events stripped to what they say."""
        since = self._viewer.since
        if since is not None and view.standing.since_position <= since:
            return None
        query = (
            select(events)
            .join(current_state, current_state.c.position == events.c.position)
            .where(current_state.c.room_id == view.standing.room_id, _is_for_invited(view))
            .order_by(events.c.position)
        )
        found = await read_events(self._connection, query)
        return {"invite_state": {"events": [_stripped(event) for event in found]}}

    async def _page(self, room: RoomOfUser) -> RoomPage | None:
        limit = self._viewer.page_limit(room.view.standing.room_id)
        if limit is None:
            return None
        return await self._pages.read(self._connection, room.view, limit, room.last)

    async def _news(self, view: View, after: int, *, is_full: bool) -> RoomNews:
        wanted, room_id = self._viewer.timeline, view.standing.room_id
        limit = self._viewer.filter.timeline_limit if wanted.admits_room(room_id) else 0
        timeline = await read_timeline(
            self._connection, view, *wanted.conditions(), after=after, limit=limit
        )
        state: list[StoredEvent] = []
        if self._viewer.state.admits_room(room_id):
            # What a filtered timeline leaves out may be state that the client does want.
            begins = timeline.starts_after + 1 if wanted.admits_all and timeline.events else None
            state = await read_state(
                self._connection,
                view,
                *self._viewer.state.conditions(),
                after=0 if is_full else after,
                before=begins,
            )
        shown = {event.event_id for event in timeline.events}
        return RoomNews(
            [encode_event(event) for event in state if event.event_id not in shown],
            [encode_event(event) for event in timeline.events],
            timeline.is_limited,
            timeline.starts_after,
        )

    async def _shown(self, news: RoomNews) -> Json:
        return shown(news, self._moment, await self._txn_ids(news.timeline))

    async def _txn_ids(self, timeline: Iterable[EncodedEvent]) -> Mapping[str, str]:
        """Return the transaction IDs under which the viewer's device sent events, by event ID."""
        requester = self._viewer.requester
        own = [event.event_id for event in timeline if event.is_sent_by(requester.user_id)]
        if not own:
            return {}
        query = select(transactions).where(
            transactions.c.event_id.in_(own),
            transactions.c.user_id == requester.user_id,
            transactions.c.device_id == requester.device_id,
        )
        return {row.event_id: row.txn_id for row in await self._connection.execute(query)}

    async def _room_account_data(self, view: View, *, is_new: bool) -> list[Json]:
        """Return what was set since the last sync; in a new room, what was ever set."""
        data, room_id = self._account_data, view.standing.room_id
        if is_new and self._viewer.since is not None:
            data = await read_account_data(self._connection, view.user_id, room_id=room_id)
        return self._viewer.wanted_data(room_id, data.get(room_id, ()))


async def read_account_data(
    connection: AsyncConnection, user_id: UserId, *, after: int = 0, room_id: str | None = None
) -> AccountDataByRoom:
    """Return what was set after a place in the stream, by room; global data under ""."""
    query = select(account_data).where(
        account_data.c.user_id == user_id, account_data.c.position > after
    )
    if room_id is not None:
        query = query.where(account_data.c.room_id == room_id)
    found: AccountDataByRoom = {}
    for row in await connection.execute(query.order_by(account_data.c.position)):
        event = {"type": row.type, "content": msgspec.Raw(row.content.encode())}
        found.setdefault(row.room_id, []).append(event)
    return found


def _is_for_invited(view: View) -> ColumnElement[bool]:
    own = and_(current_state.c.type == MEMBER, current_state.c.state_key == view.user_id)
    room = and_(current_state.c.type.in_(_SHOWN_TO_INVITED), current_state.c.state_key == "")
    return or_(own, room)


def _stripped(event: StoredEvent) -> dict[str, Any]:
    return {
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "content": decode_json(event.content),
    }

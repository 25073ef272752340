"""One room in a `/sync`, as its viewer sees it: joined, invited to, or left."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import (
    account_data,
    current_state,
    events,
    memberships,
    transactions,
)
from lamplighter.directory.sql.events import (
    MEMBER,
    StoredEvent,
    as_sync_json,
    read_events,
)
from lamplighter.directory.sql.filtering import EventFilter
from lamplighter.directory.sql.limits import decode_json
from lamplighter.directory.sql.state import View, read_state
from lamplighter.directory.sql.timeline import Timeline, read_timeline
from lamplighter.ids import UserId
from lamplighter.ports import Json, Membership, Requester, RoomFilter

__all__ = ["AccountDataByRoom", "Sections", "Viewer", "read_account_data"]

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
_MAX_HEROES: Final = 5


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who syncs, since when, and what their filter wants."""

    requester: Requester
    #: The place in the stream that the client knows; None if it knows nothing.
    since: int | None
    full_state: bool
    filter: RoomFilter
    timeline: EventFilter
    state: EventFilter
    account_data: EventFilter
    room_account_data: EventFilter

    @classmethod
    def of(
        cls, requester: Requester, filter: RoomFilter, since: int | None, *, full_state: bool
    ) -> "Viewer":
        """Return the viewer with a client's filter; raise `InvalidParam` for a monstrous one."""
        return cls(
            requester,
            since,
            full_state,
            filter,
            EventFilter.of(filter.timeline),
            EventFilter.of(filter.state),
            EventFilter.of(filter.account_data),
            EventFilter.of(filter.room_account_data),
        )

    def wants_room(self, room_id: str) -> bool:
        """Tell whether the client wants to hear of the room at all."""
        rooms = self.filter.rooms
        return room_id not in self.filter.not_rooms and (rooms is None or room_id in rooms)


@dataclass(frozen=True, slots=True)
class _News:
    timeline: Timeline
    state: list[StoredEvent]

    @property
    def events(self) -> Iterable[StoredEvent]:
        return (*self.state, *self.timeline.events)


class Sections:
    """Reads what a viewer is told of single rooms."""

    def __init__(
        self,
        connection: AsyncConnection,
        viewer: Viewer,
        account_data: AccountDataByRoom,
        now: Timestamp,
        token: Callable[[int], str],
    ) -> None:
        """Read for *viewer* at the instant *now*; *token* writes places in the stream.

        *account_data* is what was set since the viewer's last sync.
        """
        self._connection = connection
        self._viewer = viewer
        self._account_data = account_data
        self._now = now
        self._token = token

    async def joined(self, view: View) -> Json | None:
        """Return the room's entry under `join`, or None if there is nothing to say."""
        since = self._viewer.since
        is_new = since is None or view.standing.since_position > since
        is_full = is_new or self._viewer.full_state
        news = await self._news(view, 0 if is_new else since or 0, is_full=is_full)
        data = await self._room_account_data(view, is_new=is_new)
        has_changed = bool(news.timeline.events or news.state or news.timeline.is_limited)
        if not (is_full or has_changed or data):
            return None
        members_changed = is_full or any(event.type == MEMBER for event in news.events)
        return {
            **await self._shown(news),
            "summary": await self._summary(view) if members_changed else {},
            "ephemeral": {"events": []},
            "account_data": {"events": data},
            "unread_notifications": {"highlight_count": 0, "notification_count": 0},
        }

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

    async def _news(self, view: View, after: int, *, is_full: bool) -> _News:
        wanted, room_id = self._viewer.timeline, view.standing.room_id
        limit = self._viewer.filter.timeline_limit if wanted.admits_room(room_id) else 0
        timeline = await read_timeline(
            self._connection, view, *wanted.conditions(), after=after, limit=limit
        )
        if not self._viewer.state.admits_room(room_id):
            return _News(timeline, [])
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
        return _News(timeline, [event for event in state if event.event_id not in shown])

    async def _shown(self, news: _News) -> Json:
        now, timeline = self._now, news.timeline
        txn_ids = await self._txn_ids(timeline.events)
        shown = [as_sync_json(e, now, txn_ids.get(e.event_id)) for e in timeline.events]
        return {
            "state": {"events": [as_sync_json(event, now) for event in news.state]},
            "timeline": {
                "events": shown,
                "limited": timeline.is_limited,
                "prev_batch": self._token(timeline.starts_after),
            },
        }

    async def _txn_ids(self, timeline: Iterable[StoredEvent]) -> dict[str, str]:
        """Return the transaction IDs under which the viewer's device sent events, by event ID."""
        requester = self._viewer.requester
        own = [event.event_id for event in timeline if event.sender == requester.user_id]
        if not own:
            return {}
        query = select(transactions).where(
            transactions.c.event_id.in_(own),
            transactions.c.user_id == requester.user_id,
            transactions.c.device_id == requester.device_id,
        )
        return {row.event_id: row.txn_id for row in await self._connection.execute(query)}

    async def _summary(self, view: View) -> Json:
        """Return the room's `RoomSummary`: counts, and a few members to name it after."""
        in_room = memberships.c.room_id == view.standing.room_id
        query = select(memberships.c.membership, func.count()).where(in_room)
        grouped = await self._connection.execute(query.group_by(memberships.c.membership))
        counts: dict[str, int] = {row[0]: row[1] for row in grouped}
        others = select(memberships.c.user_id).where(in_room, memberships.c.user_id != view.user_id)
        others = others.order_by(memberships.c.since_position).limit(_MAX_HEROES)
        present = memberships.c.membership.in_((Membership.JOIN, Membership.INVITE))
        heroes = (await self._connection.execute(others.where(present))).scalars().all()
        if not heroes:
            heroes = (await self._connection.execute(others)).scalars().all()
        return {
            "m.heroes": list(heroes),
            "m.joined_member_count": counts.get(Membership.JOIN, 0),
            "m.invited_member_count": counts.get(Membership.INVITE, 0),
        }

    async def _room_account_data(self, view: View, *, is_new: bool) -> list[Json]:
        """Return what was set since the last sync; in a new room, what was ever set."""
        wanted, room_id = self._viewer.room_account_data, view.standing.room_id
        if not wanted.admits_room(room_id):
            return []
        data = self._account_data
        if is_new and self._viewer.since is not None:
            data = await read_account_data(self._connection, view.user_id, room_id=room_id)
        return [event for event in data.get(room_id, ()) if wanted.admits_type(event["type"])]


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

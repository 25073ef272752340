"""Reading rooms, outside `/sync`."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from sys import intern
from typing import Final

from sqlalchemy import ColumnElement, and_, false, or_, select

from lamplighter.clock import Timestamp
from lamplighter.database.adapter import Statement
from lamplighter.database.tables import account_data, current_state, events, memberships, stream
from lamplighter.errors import NotFound
from lamplighter.homeserver.sql.events import CURRENT_EVENTS, event_json, read_events
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.limits import decode_json
from lamplighter.homeserver.sql.state import check_joined, find_view, read_state, read_timeline
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember, Json, Profile

__all__ = ["RoomReader"]

#: In the order of the joins.
_ALL_JOINED: Final = Statement("""
SELECT room_id, user_id, since_ts FROM memberships WHERE membership = 'join'
ORDER BY since_ts, since_position
""")


class RoomReader:
    """Reads rooms for their members, and all rooms for modules."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def members(self) -> Sequence[JoinedMember]:
        """Return every present membership `join`, the oldest first; asked once, at start-up.

        From now on the ledger knows whom the news of rooms concern. Joins and leaves that other
        nodes write meanwhile are heard again later, and change nothing.
        """
        members = [
            JoinedMember(RoomId(intern(room_id)), UserId(intern(user_id)), Timestamp(since))
            for room_id, user_id, since in await self._ledger.fetch(_ALL_JOINED)
        ]
        self._ledger.members.begin(members)
        return members

    async def joined_rooms(self, user_id: UserId) -> Sequence[RoomId]:
        """Return the rooms to which the user is joined."""
        query = (
            select(memberships.c.room_id)
            .where(memberships.c.user_id == user_id, memberships.c.membership == MemberState.JOIN)
            .order_by(memberships.c.since_position)
        )
        async with self._ledger.read() as connection:
            return [RoomId(room_id) for room_id in (await connection.execute(query)).scalars()]

    async def state_event(
        self, user_id: UserId, room_id: RoomId, event_type: str, state_key: str
    ) -> Json:
        """Return one whole state event, as a member or former member may see it."""
        wanted = and_(events.c.type == event_type, events.c.state_key == state_key)
        async with self._ledger.read() as connection:
            view = await find_view(connection, room_id, user_id)
            found = await read_state(connection, view.admits(), wanted)
        if not found:
            raise NotFound("The room has no such state")
        return event_json(found[0], self._ledger.now())

    async def state(self, user_id: UserId, room_id: RoomId) -> Iterator[Json]:
        """Return all state events, each made when it is asked for."""
        async with self._ledger.read() as connection:
            view = await find_view(connection, room_id, user_id)
            found = await read_state(connection, view.admits())
        return map(partial(event_json, now=self._ledger.now()), found)

    async def joined_members(self, user_id: UserId, room_id: RoomId) -> Mapping[UserId, Profile]:
        """Return who is joined, with their profiles."""
        query = select(memberships).where(
            memberships.c.room_id == room_id, memberships.c.membership == MemberState.JOIN
        )
        async with self._ledger.read() as connection:
            await check_joined(connection, room_id, user_id)
            rows = (await connection.execute(query)).all()
        return {UserId(row.user_id): Profile(row.displayname, row.avatar_url) for row in rows}

    async def room_initial_sync(self, user_id: UserId, room_id: RoomId, limit: int) -> Json:
        """Return the room as `GET /rooms/{roomId}/initialSync` has it, but for presence.

        Its events are made when they are asked for.
        """
        private = select(account_data).where(
            account_data.c.user_id == user_id, account_data.c.room_id == room_id
        )
        async with self._ledger.read() as connection:
            view = await find_view(connection, room_id, user_id)
            state = await read_state(connection, view.admits())
            timeline = await read_timeline(connection, view.admits(), limit=limit)
            rows = (await connection.execute(private)).all()
            end = (await connection.execute(select(stream.c.position))).scalar_one()
        shown = partial(event_json, now=self._ledger.now())
        token = self._ledger.stream.token
        return {
            "room_id": room_id,
            "membership": view.standing.membership,
            "state": map(shown, state),
            "messages": {
                "chunk": map(shown, timeline.events),
                "start": token(timeline.starts_after),
                "end": token(end),
            },
            "account_data": [{"type": r.type, "content": decode_json(r.content)} for r in rows],
        }

    async def room_name(self, room_id: RoomId) -> str | None:
        """Return the room's name, else its alias, else None."""
        wanted = (("m.room.name", ""), ("m.room.canonical_alias", ""))
        events = await self.state_for_modules(room_id, wanted)
        contents = {event["type"]: event["content"] for event in events}
        name = contents.get("m.room.name", {}).get("name")
        alias = contents.get("m.room.canonical_alias", {}).get("alias")
        return next((it for it in (name, alias) if isinstance(it, str) and it), None)

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        """Return state events by (type, state key), any state key where that is None; no checks."""
        query = CURRENT_EVENTS.where(current_state.c.room_id == room_id)
        if wanted is not None:
            query = query.where(or_(false(), *(_is(*entry) for entry in wanted)))
        async with self._ledger.read() as connection:
            found = await read_events(connection, query.order_by(events.c.position))
        return [event_json(event, self._ledger.now()) for event in found]


def _is(event_type: str, state_key: str | None) -> ColumnElement[bool]:
    of_type = current_state.c.type == event_type
    return of_type if state_key is None else and_(of_type, current_state.c.state_key == state_key)

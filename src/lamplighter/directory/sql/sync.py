"""The rooms half of a `/sync`
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync>).

One read of the database gives one moment: the token that is returned stands for exactly that.
"""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import memberships, rooms
from lamplighter.database.tables import stream as stream_table
from lamplighter.directory.sql.homes import Home, Homes
from lamplighter.directory.sql.ledger import Ledger
from lamplighter.directory.sql.pages import RoomPages
from lamplighter.directory.sql.room_json import Moment, joined_anew
from lamplighter.directory.sql.sections import (
    AccountDataByRoom,
    RoomOfUser,
    Sections,
    read_account_data,
)
from lamplighter.directory.sql.standing import read_standing
from lamplighter.directory.sql.state import View
from lamplighter.directory.sql.viewer import Viewer
from lamplighter.ports import Json, Membership, Requester, RoomFilter, RoomsSync

__all__ = ["RoomsSyncer"]

_GONE = (Membership.LEAVE, Membership.BAN)


class RoomsSyncer:
    """Answers what has happened in a user's rooms since a token."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pages = RoomPages()
        self._homes = Homes()

    def quiet_rooms(self, requester: Requester, since: str | None) -> RoomsSync | None:
        stream = self._ledger.stream
        after = stream.parse(since)
        if since is None or after is None or stream.may_have_news(requester.user_id, after):
            return None
        return RoomsSync(since)

    async def sync_rooms(
        self, requester: Requester, since: str | None, filter: RoomFilter, *, full_state: bool
    ) -> RoomsSync:
        quiet = None if full_state else self.quiet_rooms(requester, since)
        if quiet is not None:
            return quiet
        stream = self._ledger.stream
        viewer = Viewer.of(requester, filter, stream.parse(since), full_state=full_state)
        return self._at_hand(viewer) or await self._read(viewer)

    def _at_hand(self, viewer: Viewer) -> RoomsSync | None:
        """Return a first sync, if all of it is kept in memory."""
        home = self._homes.at_hand(viewer.requester.user_id, self._ledger.stream)
        if home is None or not viewer.starts_at_home:
            return None
        found: dict[str, Json] = {}
        for room in home.rooms:
            room_id = room.view.standing.room_id
            if viewer.wants_room(room_id):
                entry = self._entry_at_hand(viewer, room, home.account_data.get(room_id, ()))
                if entry is None:
                    return None
                found[room_id] = entry
        rooms = {"join": found} if found else {}
        return self._answer(home.position, rooms, home.account_data, viewer)

    def _entry_at_hand(self, viewer: Viewer, room: RoomOfUser, data: Iterable[Json]) -> Json | None:
        view, user_id = room.view, viewer.requester.user_id
        room_id = view.standing.room_id
        limit = viewer.page_limit(room_id)
        if limit is None or not view.is_joined:
            return None
        page = self._pages.at_hand(room_id, limit, room.last)
        if page is None or any(event.is_sent_by(user_id) for event in page.timeline):
            return None  # the latter's transaction IDs are for one device
        return joined_anew(page, user_id, viewer.wanted_data(room_id, data), self._moment())

    async def _read(self, viewer: Viewer) -> RoomsSync:
        stream, user_id = self._ledger.stream, viewer.requester.user_id
        async with self._ledger.read() as connection:
            position = (await connection.execute(select(stream_table.c.position))).scalar_one()
            stream.advance(position)
            data = await read_account_data(connection, user_id, after=viewer.since or 0)
            rooms_of_user = await _rooms_with_news(connection, viewer, data)
            if viewer.starts_at_home:
                self._homes.keep(user_id, Home(position, rooms_of_user, data))
            wanted = [it for it in rooms_of_user if viewer.wants_room(it.view.standing.room_id)]
            sections = Sections(connection, viewer, data, self._moment(), self._pages)
            found = await _read_rooms(sections, wanted)
        return self._answer(position, found, data, viewer)

    def _moment(self) -> Moment:
        return Moment(self._ledger.now(), self._ledger.stream.token)

    def _answer(
        self, position: int, rooms: Json, data: AccountDataByRoom, viewer: Viewer
    ) -> RoomsSync:
        admits = viewer.account_data.admits_type
        events = [event for event in data.get("", ()) if admits(event["type"])]
        mine = {"events": events} if events else {}
        return RoomsSync(self._ledger.stream.token(position), _encoded(rooms), _encoded(mine))


async def _read_rooms(sections: Sections, rooms: Sequence[RoomOfUser]) -> Json:
    """Return the sections `join`, `invite` and `leave`, those that have something to say."""
    found: dict[str, dict[str, Json]] = {"join": {}, "invite": {}, "leave": {}}
    for room in rooms:
        match room.view.standing.membership:
            case Membership.JOIN:
                kind, entry = "join", await sections.joined(room)
            case Membership.INVITE:
                kind, entry = "invite", await sections.invited(room.view)
            case _:
                kind, entry = "leave", await sections.left(room.view)
        if entry is not None:
            found[kind][room.view.standing.room_id] = entry
    return {kind: by_room for kind, by_room in found.items() if by_room}


async def _rooms_with_news(
    connection: AsyncConnection, viewer: Viewer, data: AccountDataByRoom
) -> list[RoomOfUser]:
    """Return the user's rooms of which there may be something to say, wanted or not."""
    query = (
        select(memberships, rooms.c.last_position)
        .join(rooms, rooms.c.room_id == memberships.c.room_id)
        .where(memberships.c.user_id == viewer.requester.user_id)
        .order_by(memberships.c.since_position)
    )
    is_joined = memberships.c.membership == Membership.JOIN
    has_gone = memberships.c.membership.in_(_GONE)
    if viewer.since is None:
        if not viewer.filter.include_leave:
            query = query.where(~has_gone)
    else:
        has_changed = memberships.c.since_position > viewer.since
        has_events = is_joined & (rooms.c.last_position > viewer.since)
        has_data = is_joined & memberships.c.room_id.in_(list(data))
        news = or_(has_changed, has_events, has_data)
        query = query.where(or_(news, is_joined) if viewer.full_state else news)
    user_id = viewer.requester.user_id
    return [
        RoomOfUser(View(user_id, read_standing(row)), row.last_position)
        for row in await connection.execute(query)
    ]


def _encoded(found: Json) -> msgspec.Raw | None:
    return msgspec.Raw(msgspec.json.encode(found)) if found else None

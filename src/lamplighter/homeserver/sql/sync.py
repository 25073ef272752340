"""The rooms half of a `/sync`
(<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync>).

One read of the database sees one moment. The token in the answer stands for exactly that moment.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import memberships, rooms
from lamplighter.database.tables import stream as stream_table
from lamplighter.homeserver.sql.account_data import AccountDataByRoom, read_account_data
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.sql.first_sync import FirstSyncs
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.room_json import Moment
from lamplighter.homeserver.sql.sections import Section, Sections
from lamplighter.homeserver.sql.state import View, read_standing
from lamplighter.homeserver.sql.typing_notices import TypingNotices
from lamplighter.homeserver.sql.viewer import Viewer
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId
from lamplighter.pieces import Pieces
from lamplighter.ports import Requester, RoomsAnswer

__all__ = ["RoomsSyncer"]

_GONE = (MemberState.LEAVE, MemberState.BAN)


class RoomsSyncer:
    """Answers with all changes of a user's rooms since a token."""

    def __init__(self, ledger: Ledger, typing: TypingNotices) -> None:
        self._ledger = ledger
        self._typing = typing
        self._first_syncs = FirstSyncs(ledger, typing)

    async def sync_rooms(
        self, requester: Requester, since: str | None, filter: RoomFilter, *, full_state: bool
    ) -> RoomsAnswer:
        """Return all changes of the requester's rooms since a token.

        A token that is None, of another database or malformed is answered in full.
        """
        stream = self._ledger.stream
        after = await self._ledger.place(since)
        typing = stream.typing_since(since)
        viewer = Viewer.of(requester, filter, after, typing, full_state=full_state)
        first = await self._first_syncs.sync(viewer) if viewer.begins else None
        return first or await self._read(viewer)

    async def _read(self, viewer: Viewer) -> RoomsAnswer:
        stream, typing = self._ledger.stream, self._typing
        # Typing that changes during this read comes in the next sync once more.
        told = stream.typing_told(viewer.requester.user_id)
        typed_in = typing.changed_since(viewer.typing_since)
        async with self._ledger.read() as connection:
            position = (await connection.execute(select(stream_table.c.position))).scalar_one()
            stream.advance(position)
            data = await read_account_data(
                connection, viewer.requester.user_id, after=viewer.since or 0
            )
            moment = Moment(viewer.requester, self._ledger.now(), stream.token)
            sections = Sections(connection, viewer, data, typing, typed_in, moment)
            views = await _rooms_with_news(connection, viewer, data, typed_in)
            found = await _read_rooms(sections, views)
        return viewer.answer(stream.token(position, told), found, data)


async def _read_rooms(sections: Sections, views: Sequence[View]) -> Pieces | None:
    """Return the sections `join`, `invite` and `leave`, without the empty ones."""
    found: dict[str, list[Section]] = {"join": [], "invite": [], "leave": []}
    for view in views:
        match view.standing.membership:
            case MemberState.JOIN:
                kind, section = "join", await sections.joined(view)
            case MemberState.INVITE:
                kind, section = "invite", await sections.invited(view)
            case _:
                kind, section = "leave", await sections.left(view)
        if section is not None:
            found[kind].append(section)
    return Pieces(partial(_written, found)) if any(found.values()) else None


def _written(found: Mapping[str, Sequence[Section]]) -> Iterator[bytes]:
    opening = b"{"
    for kind, sections in found.items():
        for number, section in enumerate(sections):
            yield b"," if number else b'%b"%b":{' % (opening, kind.encode())
            yield from section()
        if sections:
            yield b"}"
            opening = b","
    yield b"}"


async def _rooms_with_news(
    connection: AsyncConnection,
    viewer: Viewer,
    data: AccountDataByRoom,
    typed_in: Collection[RoomId] | None,
) -> list[View]:
    """Return the memberships of rooms that may have changed.

    Typing has changed in the rooms *typed_in*; None is any room.
    """
    query = (
        select(memberships)
        .join(rooms, rooms.c.room_id == memberships.c.room_id)
        .where(memberships.c.user_id == viewer.requester.user_id)
        .order_by(memberships.c.since_position)
    )
    is_joined = memberships.c.membership == MemberState.JOIN
    has_gone = memberships.c.membership.in_(_GONE)
    if viewer.since is None:
        if not viewer.filter.include_leave:
            query = query.where(~has_gone)
    else:
        has_changed = memberships.c.since_position > viewer.since
        has_events = is_joined & (rooms.c.last_position > viewer.since)
        has_data = is_joined & memberships.c.room_id.in_(list(data))
        has_receipts = is_joined & (rooms.c.receipts_position > viewer.since)
        has_typists = is_joined & memberships.c.room_id.in_(typed_in or ())
        news = or_(has_changed, has_events, has_data, has_receipts, has_typists)
        looks_at_all = viewer.full_state or typed_in is None
        query = query.where(or_(news, is_joined) if looks_at_all else news)
    user_id = viewer.requester.user_id
    views = [View(user_id, read_standing(row)) for row in await connection.execute(query)]
    return [view for view in views if viewer.wants_room(view.standing.room_id)]

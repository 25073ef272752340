"""First syncs: most of their content of a room is the same for all its members.

One statement reads what is the user's own at one moment: rooms and account data, with the position
of the last event of each room. The pages of the rooms are cached, or read once for all members.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from lamplighter.database.adapter import Statement
from lamplighter.homeserver.sql.account_data import AccountDataByRoom, data_by_room
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.pages import RoomPage, RoomPages
from lamplighter.homeserver.sql.receipts import ReceiptPages, StoredReceipt, receipt_event
from lamplighter.homeserver.sql.room_json import Moment, beside_news, in_pieces
from lamplighter.homeserver.sql.typing_notices import TypingNotices, typing_event
from lamplighter.homeserver.sql.viewer import Viewer
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId
from lamplighter.pieces import Pieces
from lamplighter.ports import Json, RoomsAnswer

__all__ = ["FirstSyncs"]

#: Rows of a kind (a membership, `data` or `stream`), position, room ID, type of data, data, and
#: position of the last receipt.
_HOME: Final = """
SELECT membership, last_position, rooms.room_id, NULL, NULL, receipts_position
FROM memberships JOIN rooms ON rooms.room_id = memberships.room_id
WHERE user_id = $1 AND membership IN ('join', 'invite')
UNION ALL
SELECT 'data', position, room_id, type, content, NULL FROM account_data WHERE user_id = $1
UNION ALL
SELECT 'stream', position, NULL, NULL, NULL, NULL FROM stream
"""


@dataclass(frozen=True, slots=True)
class _Home:
    """The rooms and account data of a user."""

    #: The moment, as a place in the stream.
    position: int
    #: The place of the last event, by room that the user is in.
    joined: Mapping[RoomId, int]
    #: The place of the last receipt, by room that the user is in and that has receipts.
    receipts: Mapping[RoomId, int]
    invited: Sequence[RoomId]
    account_data: AccountDataByRoom


class FirstSyncs:
    """Answers clients that sync for the first time, with a usual filter."""

    def __init__(self, ledger: Ledger, typing: TypingNotices) -> None:
        self._ledger = ledger
        self._typing = typing
        self._receipts = ReceiptPages()
        self._pages = RoomPages()

    async def sync(self, viewer: Viewer) -> RoomsAnswer | None:
        """Return the whole answer for *viewer*; None if it takes more than pages of rooms."""
        stream, requester = self._ledger.stream, viewer.requester
        told = stream.typing_told(requester.user_id)
        home = await self._read_home(requester.user_id)
        stream.advance(home.position)
        limits = _page_limits(viewer, home)
        if limits is None:
            return None
        pages = await self._pages_of(home, limits)
        moment = Moment(requester, self._ledger.now(), stream.token)
        receipts = await self._receipts_of(viewer, home, pages)
        # Typing and receipts are read now; the rest is written when it is sent.
        shown = [(it, self._ephemeral(viewer, it.room_id, receipts)) for it in pages.values()]
        rooms = Pieces(partial(_rooms, viewer, home, shown, moment)) if shown else None
        return viewer.answer(stream.token(home.position, told), rooms, home.account_data)

    async def _read_home(self, user_id: UserId) -> _Home:
        rows = await self._ledger.fetch(Statement(_HOME, (user_id,)))
        by_kind: dict[str, list[Any]] = {}
        for kind, *row in rows:
            by_kind.setdefault(kind, []).append(row)
        joined = by_kind.get(MemberState.JOIN, ())
        data = sorted(row[:4] for row in by_kind.get("data", ()))
        return _Home(
            by_kind["stream"][0][0],
            {RoomId(row[1]): row[0] for row in joined},
            {RoomId(row[1]): row[4] for row in joined if row[4] is not None},
            [RoomId(row[1]) for row in by_kind.get(MemberState.INVITE, ())],
            data_by_room((room_id, data_type, text) for _, room_id, data_type, text in data),
        )

    async def _receipts_of(
        self, viewer: Viewer, home: _Home, pages: Mapping[RoomId, RoomPage]
    ) -> Mapping[RoomId, Sequence[StoredReceipt]]:
        places = {
            room_id: place
            for room_id, place in home.receipts.items()
            if room_id in pages and viewer.wants_ephemeral(room_id, "m.receipt")
        }
        if not places:
            return {}
        async with self._ledger.read() as connection:
            return await self._receipts.read(connection, viewer.requester.user_id, places)

    def _ephemeral(
        self, viewer: Viewer, room_id: RoomId, receipts: Mapping[RoomId, Sequence[StoredReceipt]]
    ) -> list[Json]:
        found: list[Json] = []
        typists = self._typing.in_room(room_id)
        if typists and viewer.wants_ephemeral(room_id, "m.typing"):
            found.append(typing_event(typists))
        if receipts.get(room_id):
            found.append(receipt_event(receipts[room_id]))
        return found

    async def _pages_of(
        self, home: _Home, limits: Mapping[RoomId, int]
    ) -> Mapping[RoomId, RoomPage]:
        pages = {it: self._pages.at_hand(it, limits[it], home.joined[it]) for it in limits}
        if None in pages.values():
            async with self._ledger.read() as connection:
                return {
                    it: await self._pages.read(connection, it, limits[it], home.joined[it])
                    for it in limits
                }
        return {room_id: page for room_id, page in pages.items() if page is not None}


def _page_limits(viewer: Viewer, home: _Home) -> Mapping[RoomId, int] | None:
    """Return the wanted rooms, with the lengths of their timelines; None if pages lack a part."""
    if any(viewer.wants_room(room_id) for room_id in home.invited):
        return None
    wanted = [room_id for room_id in home.joined if viewer.wants_room(room_id)]
    limits = {room_id: viewer.page_limit(room_id) for room_id in wanted}
    found = {room_id: limit for room_id, limit in limits.items() if limit is not None}
    return found if len(found) == len(limits) else None


def _rooms(
    viewer: Viewer,
    home: _Home,
    pages: Iterable[tuple[RoomPage, Sequence[Json]]],
    moment: Moment,
) -> Iterator[bytes]:
    """Yield the rooms as JSON. Pages never change, so all rooms are of one moment."""
    user_id, separator = viewer.requester.user_id, b'{"join":{'
    for page, ephemeral in pages:
        yield separator
        data = viewer.wanted_data(page.room_id, home.account_data.get(page.room_id, ()))
        beside = beside_news(page.summary.of(user_id), data, ephemeral)
        news = page.news(user_id, lazily=viewer.state.lazy_load_members)
        yield from in_pieces(page.room_id, news, beside, moment)
        separator = b","
    yield b"}}"

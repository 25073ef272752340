"""First syncs: most of what they tell of a room is the same for all its members.

One statement reads what is the user's own, and the last event of each room. The pages of the rooms
are cached, or read once for all members.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from lamplighter.homeserver.sql.home import Home, HomeReader
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.pages import RoomPage, RoomPages
from lamplighter.homeserver.sql.receipts import ReceiptPages, StoredReceipt, receipt_event
from lamplighter.homeserver.sql.room_json import Moment, beside_news, in_pieces
from lamplighter.homeserver.sql.typing_notices import TypingNotices, typing_event
from lamplighter.homeserver.sql.viewer import Viewer
from lamplighter.ids import RoomId
from lamplighter.pieces import Pieces
from lamplighter.ports import Json, RoomsAnswer

__all__ = ["FirstSyncs"]


class FirstSyncs:
    """Answers clients that know nothing yet, and want what clients mostly want."""

    def __init__(self, ledger: Ledger, typing: TypingNotices) -> None:
        self._ledger = ledger
        self._typing = typing
        self._receipts = ReceiptPages()
        self._homes = HomeReader(ledger)
        self._pages = RoomPages()

    async def sync(self, viewer: Viewer) -> RoomsAnswer | None:
        """Return all there is to tell *viewer*; None if it takes more than pages of rooms."""
        stream, requester = self._ledger.stream, viewer.requester
        told = stream.typing_told(requester.user_id)
        home = await self._homes.read(requester.user_id)
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

    async def _receipts_of(
        self, viewer: Viewer, home: Home, pages: Mapping[RoomId, RoomPage]
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
        self, home: Home, limits: Mapping[RoomId, int]
    ) -> Mapping[RoomId, RoomPage]:
        pages = {it: self._pages.at_hand(it, limits[it], home.joined[it]) for it in limits}
        if None in pages.values():
            async with self._ledger.read() as connection:
                return {
                    it: await self._pages.read(connection, it, limits[it], home.joined[it])
                    for it in limits
                }
        return {room_id: page for room_id, page in pages.items() if page is not None}


def _page_limits(viewer: Viewer, home: Home) -> Mapping[RoomId, int] | None:
    """Return the rooms to tell of, and how long their timelines are; None if pages do not do."""
    if any(viewer.wants_room(room_id) for room_id in home.invited):
        return None
    wanted = [room_id for room_id in home.joined if viewer.wants_room(room_id)]
    limits = {room_id: viewer.page_limit(room_id) for room_id in wanted}
    found = {room_id: limit for room_id, limit in limits.items() if limit is not None}
    return found if len(found) == len(limits) else None


def _rooms(
    viewer: Viewer,
    home: Home,
    pages: Iterable[tuple[RoomPage, Sequence[Json]]],
    moment: Moment,
) -> Iterator[bytes]:
    """Give the rooms as JSON. Pages never change, so all is of one moment, whenever it is made."""
    separator = b'{"join":{'
    for page, ephemeral in pages:
        yield separator
        data = viewer.wanted_data(page.room_id, home.account_data.get(page.room_id, ()))
        summary = page.summary.of(viewer.requester.user_id)
        beside = beside_news(summary, data, ephemeral)
        yield from in_pieces(page.room_id, page.news, beside, moment)
        separator = b","
    yield b"}}"

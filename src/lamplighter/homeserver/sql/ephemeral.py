"""Ephemeral events of a room: typing and receipts."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.homeserver.sql.receipts import read_receipts, receipt_event
from lamplighter.homeserver.sql.typing_notices import TypingNotices, typing_event
from lamplighter.homeserver.sql.viewer import Viewer
from lamplighter.ids import RoomId
from lamplighter.ports import Json

__all__ = ["Ephemeral"]


class Ephemeral:
    """Reads the ephemeral events that a viewer is told of joined rooms."""

    def __init__(
        self,
        connection: AsyncConnection,
        viewer: Viewer,
        typing: TypingNotices,
        typed_in: Collection[RoomId] | None,
    ) -> None:
        """*typed_in* are the rooms in which typing has changed since the viewer's last sync.

        None is any room.
        """
        self._connection = connection
        self._viewer = viewer
        self._typing = typing
        self._typed_in = typed_in

    async def of(self, room_id: RoomId, *, is_new: bool) -> list[Json]:
        """Return the events that are news; of a new room, all."""
        viewer = self._viewer
        found: list[Json] = []
        if viewer.wants_ephemeral(room_id, "m.typing"):
            typists = self._typing.in_room(room_id)
            has_changed = self._typed_in is None or room_id in self._typed_in
            if typists if is_new else has_changed:
                found.append(typing_event(typists))
        if viewer.wants_ephemeral(room_id, "m.receipt"):
            after = 0 if is_new else viewer.since or 0
            user_id = viewer.requester.user_id
            receipts = await read_receipts(self._connection, room_id, user_id, after=after)
            found += [receipt_event(receipts)] if receipts else []
        return found

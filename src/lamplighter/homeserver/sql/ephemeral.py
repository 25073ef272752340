"""What is told of a room and kept out of its timeline: who types, and who has read what."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.homeserver.sql.receipts import read_receipts, receipt_event
from lamplighter.homeserver.sql.typing_notices import TypingNotices, typing_event
from lamplighter.homeserver.sql.viewer import Viewer
from lamplighter.ids import RoomId
from lamplighter.ports import Json

__all__ = ["Ephemeral"]


class Ephemeral:
    """Reads what a viewer is told beside the events of joined rooms."""

    def __init__(
        self,
        connection: AsyncConnection,
        viewer: Viewer,
        typing: TypingNotices,
        typed_in: Collection[RoomId] | None,
    ) -> None:
        """Who types has changed in the rooms *typed_in* since the viewer's last sync.

        None is any room.
        """
        self._connection = connection
        self._viewer = viewer
        self._typing = typing
        self._typed_in = typed_in

    async def of(self, room_id: RoomId, *, is_new: bool) -> list[Json]:
        """Return what there is to tell; of a new room, all that stands."""
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

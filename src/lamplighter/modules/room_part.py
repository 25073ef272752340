"""`ModuleApi`, the part about rooms, which modules can only read."""

from collections.abc import Iterable, Sequence

from lamplighter.errors import InvalidId, NotFound
from lamplighter.ids import parse_room_alias, parse_room_id
from lamplighter.modules.parts import ApiPart
from lamplighter.modules.synapse.errors import Codes, NotFoundError, SynapseError
from lamplighter.modules.synapse.types import EventBase, RoomAlias, RoomID, StateMap

__all__ = ["RoomPart"]


class RoomPart(ApiPart):
    """Rooms of this server, and their members."""

    async def get_room_state(
        self, room_id: str, event_filter: Iterable[tuple[str, str | None]] | None = None
    ) -> StateMap[EventBase]:
        """Return a room's state by (type, state key); empty for an unknown room.

        *event_filter* lists the wanted (type, state key); a state key of None stands for all. For
        example, `get_room_state(room_id, [("m.room.member", None)])` returns the members. Raises
        `SynapseError` (400) for a malformed room ID.
        """
        events = await self._state(room_id, None if event_filter is None else list(event_filter))
        return {(event.type, event.state_key): event for event in events}

    async def get_state_events_in_room(
        self, room_id: str, types: Iterable[tuple[str, str | None]]
    ) -> Iterable[EventBase]:
        """Return the state events of these (type, state key); older modules use this method."""
        return await self._state(room_id, list(types))

    async def lookup_room_alias(self, room_alias: str) -> tuple[str, list[str]]:
        """Return the room of an alias of this server, and the servers by which to join it.

        Raises `SynapseError`: 404 for an unknown alias, 400 for a malformed one.
        """
        try:
            alias = parse_room_alias(room_alias)
            directory = self._parts.directory
            room_id = await self._serve("lookup alias", lambda: directory.resolve_alias(alias))
        except InvalidId as error:
            raise SynapseError(400, str(error), Codes.INVALID_PARAM) from error
        except NotFound as error:
            raise NotFoundError(f"there is no room {room_alias}") from error
        return room_id, [self._parts.server.server_name]

    async def get_canonical_room_alias(self, room_id: RoomID) -> RoomAlias | None:
        """Return the canonical alias of a room, or None."""
        for event in await self._state(room_id.to_string(), [("m.room.canonical_alias", "")]):
            alias = event.content.get("alias")
            if isinstance(alias, str) and RoomAlias.is_valid(alias):
                return RoomAlias.from_string(alias)
        return None

    async def _state(
        self, room_id: str, wanted: Sequence[tuple[str, str | None]] | None
    ) -> list[EventBase]:
        try:
            room = parse_room_id(room_id)
            directory = self._parts.directory
            events = await self._serve(
                "get room state", lambda: directory.state_for_modules(room, wanted)
            )
        except InvalidId as error:
            raise SynapseError(400, str(error), Codes.INVALID_PARAM) from error
        except NotFound:
            return []
        return [EventBase({"room_id": room_id, **event}) for event in events]

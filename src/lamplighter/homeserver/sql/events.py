"""Room events: appending, reading, and their form for clients."""

import secrets
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.dialects import upsert
from lamplighter.database.tables import current_state, events, rooms
from lamplighter.errors import TooLarge
from lamplighter.homeserver.sql.ledger import Write
from lamplighter.homeserver.sql.limits import (
    MAX_EVENT_BYTES,
    decode_json,
    encode_json,
    text_within,
)
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json

__all__ = [
    "CURRENT_EVENTS",
    "MEMBER",
    "StoredEvent",
    "append",
    "current_content",
    "event_json",
    "read_events",
]

MEMBER: Final = "m.room.member"
#: The query for the present state of rooms, as rows of `events`.
CURRENT_EVENTS: Final = select(events).join(
    current_state, current_state.c.position == events.c.position
)
#: Bytes of an event beside its names and its content.
_ENVELOPE: Final = 120


class StoredEvent(NamedTuple):
    """An event as its row has it, field by field; `content` and `unsigned` are JSON."""

    position: int
    event_id: str
    room_id: RoomId
    type: str
    state_key: str | None
    sender: UserId
    origin_server_ts: Timestamp
    content: str
    unsigned: str


async def append(
    write: Write,
    room_id: RoomId,
    event_type: str,
    sender: UserId,
    content: Json,
    state_key: str | None = None,
) -> StoredEvent:
    """Add an event to the room's timeline, and to its state if it has a state key.

    Power levels are not checked here. Raises `TooLarge`, `BadJson`.
    """
    text_within("type", event_type)
    text_within("state_key", state_key or "")
    encoded = encode_json("content", content)
    unsigned = {}
    if state_key is not None:
        replaced = await _current(write.connection, room_id, event_type, state_key)
        if replaced is not None:
            unsigned = {
                "prev_content": decode_json(replaced.content),
                "prev_sender": replaced.sender,
                "replaces_state": replaced.event_id,
            }
    event = StoredEvent(
        write.next_position(),
        "$" + secrets.token_urlsafe(32),
        room_id,
        event_type,
        state_key,
        sender,
        write.now,
        encoded,
        msgspec.json.encode(unsigned).decode(),
    )
    # The size of an event as clients get it, but for `unsigned`.
    names = event_type, state_key or "", sender, room_id, event.event_id
    size = _ENVELOPE + len(encoded.encode()) + sum(len(name.encode()) for name in names)
    if size > MAX_EVENT_BYTES:
        raise TooLarge(f"event: {size} bytes, where {MAX_EVENT_BYTES} are allowed")
    await write.connection.execute(insert(events).values(event._asdict()))
    if state_key is not None:
        row = {"room_id": room_id, "type": event_type, "state_key": state_key}
        statement = upsert(write.connection, current_state)
        await write.connection.execute(statement, row | {"position": event.position})
    room = update(rooms).where(rooms.c.room_id == room_id)
    await write.connection.execute(room.values(last_position=event.position))
    write.news_in.add(room_id)
    return event


def event_json(event: StoredEvent, now: Timestamp) -> Json:
    """Return the event as clients get it
    (<https://spec.matrix.org/latest/client-server-api/#room-event-format>).
    """
    unsigned = {**decode_json(event.unsigned), "age": max(0, now - event.origin_server_ts)}
    shown: Json = {
        "type": event.type,
        "sender": event.sender,
        "content": decode_json(event.content),
        "event_id": event.event_id,
        "origin_server_ts": event.origin_server_ts,
        "unsigned": unsigned,
        "room_id": event.room_id,
    }
    if event.state_key is not None:
        shown["state_key"] = event.state_key
    return shown


async def current_content(
    connection: AsyncConnection, room_id: RoomId, event_type: str, state_key: str = ""
) -> Json | None:
    """Return the content of a piece of the room's present state, or None."""
    found = await _current(connection, room_id, event_type, state_key)
    return None if found is None else decode_json(found.content)


async def read_events(connection: AsyncConnection, query: Any) -> list[StoredEvent]:
    """Return the events that *query*, a select of whole rows of `events`, finds."""
    return [StoredEvent._make(row) for row in await connection.execute(query)]


async def _current(
    connection: AsyncConnection, room_id: RoomId, event_type: str, state_key: str
) -> StoredEvent | None:
    query = CURRENT_EVENTS.where(
        current_state.c.room_id == room_id,
        current_state.c.type == event_type,
        current_state.c.state_key == state_key,
    )
    return next(iter(await read_events(connection, query)), None)

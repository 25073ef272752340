"""Many rows at once, for tests of limits: thousands of requests would take seconds."""

from collections.abc import Sequence

import msgspec

from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.ids import RoomId, UserId

__all__ = ["add_account_data", "repeat_last_event"]

_LAST = "(SELECT max(position) FROM events)"


async def repeat_last_event(database: Database, count: int) -> None:
    """Have the last event sent *count* times more; state under keys of its own each time.

    The database is SQLite, and nobody writes meanwhile. A directory learns of the events by its
    next write.
    """
    await database.commit(
        Statement(
            "INSERT INTO events (position, event_id, room_id, type, state_key, sender,"
            " origin_server_ts, content, unsigned)"
            " SELECT e.position + n.value, e.event_id || n.value, e.room_id, e.type,"
            " e.state_key || n.value, e.sender, e.origin_server_ts, e.content, e.unsigned"
            f" FROM events e, json_each($1) n WHERE e.position = {_LAST}",
            (_numbers(range(1, count + 1)),),
        )
    )
    for sql in (
        "INSERT INTO current_state (room_id, type, state_key, position)"
        f" SELECT room_id, type, state_key, position FROM events WHERE position > {_LAST} - $1"
        " AND state_key IS NOT NULL",
        f"UPDATE rooms SET last_position = {_LAST}"
        f" WHERE room_id = (SELECT room_id FROM events WHERE position = {_LAST}) AND $1 > 0",
        f"UPDATE stream SET position = {_LAST} WHERE $1 > 0",
    ):
        await database.commit(Statement(sql, (count,)))


async def add_account_data(
    database: Database, user_id: UserId, room_id: RoomId | None, types: Sequence[str]
) -> None:
    """Store empty account data of these types, in a database that is SQLite."""
    await database.commit(
        Statement(
            "INSERT INTO account_data (user_id, room_id, type, content, position)"
            " SELECT $1, $2, value, '{}', 0 FROM json_each($3)",
            (user_id, room_id or "", msgspec.json.encode(types).decode()),
        )
    )


def _numbers(numbers: range) -> str:
    return msgspec.json.encode(list(numbers)).decode()

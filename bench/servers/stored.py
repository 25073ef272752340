"""Users, rooms and presence in the database of a Lamplighter that has not started yet."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, create_engine, insert, update

from bench.matrix import SERVER_NAME, Account, user_id
from bench.shapes import Shape
from lamplighter.app.storage import Storage
from lamplighter.clock import SystemClock, Timestamp
from lamplighter.database import tables
from lamplighter.homeserver.sql.devices import hash_token
from lamplighter.homeserver.values import MemberState
from lamplighter.presence.machine import StateSource
from lamplighter.presence.state import Presence

__all__ = ["STORED_FILTER", "rows_of", "store", "stored_account"]

#: The ID of the filter of each user.
STORED_FILTER: Final = "0"
#: Since when nobody has acted, in milliseconds, counted from now: half of those who were online
#: when the server stopped are idle when it starts.
_QUIET_FOR: Final = (60_000, 600_000)


def store(data_dir: Path, shape: Shape) -> None:
    """Write everybody of *shape* below *data_dir*: every other user was online."""
    Storage.prepare(data_dir)
    now = SystemClock().now()
    engine = create_engine(f"sqlite:///{data_dir / 'lamplighter.db'}")
    try:
        with engine.begin() as connection:
            for table, content in {
                **rows_of(shape, now),
                tables.presence: _presence(shape, now),
            }.items():
                connection.execute(insert(table), content)
            connection.execute(update(tables.stream).values(position=1))
    finally:
        engine.dispose()


def stored_account(number: int) -> Account:
    """Return the account of the user of that *number*, with the token of the stored device."""
    return Account(number, user_id(number), f"token-{number}")


def rows_of(shape: Shape, now: Timestamp) -> dict[Table, list[dict[str, Any]]]:
    """Return the rows of the users of *shape*, each with a device and a filter, and of rooms."""
    people = [stored_account(number) for number in range(shape.users)]
    rooms = [f"!room{number}:{SERVER_NAME}" for number in range(len(shape.rooms))]
    return {
        tables.users: [
            {"user_id": it.user_id, "created_ts": now, "is_admin": False, "is_deactivated": False}
            for it in people
        ],
        tables.devices: [
            {"user_id": it.user_id, "device_id": "A", "token_hash": hash_token(it.token)}
            for it in people
        ],
        tables.filters: [
            {"user_id": it.user_id, "filter_id": STORED_FILTER, "definition": shape.client.filter}
            for it in people
        ],
        tables.rooms: [{"room_id": it, "last_position": 1} for it in rooms],
        tables.memberships: [
            {
                "room_id": room_id,
                "user_id": people[member].user_id,
                "membership": MemberState.JOIN,
                "since_position": 1,
                "since_ts": now,
            }
            for room_id, members in zip(rooms, shape.rooms, strict=True)
            for member in members
        ],
    }


def _presence(shape: Shape, now: Timestamp) -> list[dict[str, Any]]:
    return [
        {
            "user_id": user_id(number),
            "state": str(Presence.OFFLINE if number % 2 else Presence.ONLINE),
            "word": StateSource.DEVICES.name,
            "last_active_ts": now - _QUIET_FOR[number % 4 // 2],
            "last_federation_update_ts": now,
            "last_user_sync_ts": now,
            "status_msg": f"status {number}",
            "currently_active": False,
            "position": number + 1,
        }
        for number in range(shape.users)
    ]

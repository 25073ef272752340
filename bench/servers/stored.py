"""Users, rooms and presence in the database of a Lamplighter that has not started yet."""

from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, insert, update

from bench.matrix import SERVER_NAME, user_id
from bench.shapes import Shape
from lamplighter.app.storage import Storage
from lamplighter.clock import SystemClock
from lamplighter.database import tables
from lamplighter.homeserver.values import MemberState
from lamplighter.presence.machine import StateSource
from lamplighter.presence.state import Presence

__all__ = ["store"]

#: Since when nobody has acted, in milliseconds, counted from now: half of those who were online
#: when the server stopped are idle when it starts.
_QUIET_FOR: Final = (60_000, 600_000)


def store(data_dir: Path, shape: Shape) -> None:
    """Write everybody of *shape* below *data_dir*: every other user was online."""
    Storage.prepare(data_dir)
    now = SystemClock().now()
    engine = create_engine(f"sqlite:///{data_dir / 'lamplighter.db'}")
    people = [user_id(number) for number in range(shape.users)]
    rooms = [f"!room{number}:{SERVER_NAME}" for number in range(len(shape.rooms))]
    rows = {
        tables.users: [
            {"user_id": it, "created_ts": now, "is_admin": False, "is_deactivated": False}
            for it in people
        ],
        tables.rooms: [{"room_id": it, "last_position": 1} for it in rooms],
        tables.memberships: [
            {
                "room_id": room_id,
                "user_id": people[member],
                "membership": MemberState.JOIN,
                "since_position": 1,
                "since_ts": now,
            }
            for room_id, members in zip(rooms, shape.rooms, strict=True)
            for member in members
        ],
        tables.presence: [
            {
                "user_id": it,
                "state": str(Presence.OFFLINE if number % 2 else Presence.ONLINE),
                "word": StateSource.DEVICES.name,
                "last_active_ts": now - _QUIET_FOR[number % 4 // 2],
                "last_federation_update_ts": now,
                "last_user_sync_ts": now,
                "status_msg": f"status {number}",
                "currently_active": False,
                "position": number + 1,
            }
            for number, it in enumerate(people)
        ],
    }
    try:
        with engine.begin() as connection:
            for table, content in rows.items():
                connection.execute(insert(table), content)
            connection.execute(update(tables.stream).values(position=1))
    finally:
        engine.dispose()

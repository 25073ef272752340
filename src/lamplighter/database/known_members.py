"""Who is joined to which room of another homeserver, across restarts."""

from collections.abc import Mapping, Sequence
from sys import intern
from typing import Final

from sqlalchemy import and_, bindparam, delete, select

from lamplighter.clock import Timestamp
from lamplighter.database.adapter import Statement
from lamplighter.database.dialects import upsert
from lamplighter.database.engine import Database
from lamplighter.database.tables import known_members
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import JoinedMember

__all__ = ["KnownMembers"]

_COLUMNS: Final = known_members.columns
_OLDEST_FIRST: Final = str(
    select(_COLUMNS.room_id, _COLUMNS.user_id, _COLUMNS.since_ts).order_by(
        _COLUMNS.since_ts, _COLUMNS.room_id, _COLUMNS.user_id
    )
)


class KnownMembers:
    """The members that are known, in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Sequence[JoinedMember]:
        """Return what was saved, the oldest first; raise `StorageUnavailable`."""
        rows = await self._database.fetch(Statement(_OLDEST_FIRST))
        return [
            JoinedMember(RoomId(intern(room_id)), UserId(intern(user_id)), Timestamp(since))
            for room_id, user_id, since in rows
        ]

    async def save(self, changed: Mapping[tuple[RoomId, UserId], Timestamp | None]) -> None:
        """Store since when each membership is known; None deletes it.

        Raises `StorageUnavailable`.
        """
        kept = [
            {"room_id": room_id, "user_id": user_id, "since_ts": since}
            for (room_id, user_id), since in changed.items()
            if since is not None
        ]
        gone = [
            {"room": room_id, "user": user_id}
            for (room_id, user_id), since in changed.items()
            if since is None
        ]
        async with self._database.write() as connection:
            if kept:
                await connection.execute(upsert(connection, known_members), kept)
            if gone:
                one = and_(
                    _COLUMNS.room_id == bindparam("room"), _COLUMNS.user_id == bindparam("user")
                )
                await connection.execute(delete(known_members).where(one), gone)

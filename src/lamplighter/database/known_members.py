"""Who is joined to which room of another homeserver, across restarts.

Of many nodes, the database also keeps for a while what they have told each other of joins and
leaves. A node that starts reads who is joined now; that a leave was told it reads there, where the
log has lost it. The while ends with what was told last, so no clock has to agree with the log's.
"""

from collections.abc import Mapping, Sequence
from sys import intern
from typing import Final

from sqlalchemy import and_, bindparam, delete, select

from lamplighter.clock import Timestamp
from lamplighter.database.adapter import Statement
from lamplighter.database.dialects import insert_once, upsert
from lamplighter.database.engine import Database
from lamplighter.database.tables import findings, known_members
from lamplighter.ids import RoomId, StreamPosition, UserId
from lamplighter.ports import JoinedMember

__all__ = ["KnownMembers"]

#: So many old findings are deleted with each commit, at most.
_CLEARED_AT_ONCE: Final = 100

_COLUMNS: Final = known_members.columns
_POSITION: Final = findings.columns.position
_OLDEST_FIRST: Final = str(
    select(_COLUMNS.room_id, _COLUMNS.user_id, _COLUMNS.since_ts).order_by(
        _COLUMNS.since_ts, _COLUMNS.room_id, _COLUMNS.user_id
    )
)
_LEAVE: Final = delete(known_members).where(
    and_(_COLUMNS.room_id == bindparam("room"), _COLUMNS.user_id == bindparam("user"))
)
_OLD: Final = delete(findings).where(
    _POSITION.in_(
        select(_POSITION)
        .where(bindparam("since") > _POSITION)
        .order_by(_POSITION)
        .limit(_CLEARED_AT_ONCE)
    )
)
_TOLD_LATELY: Final = """
SELECT position, payload FROM findings
WHERE position >= (SELECT max(position) FROM findings) - $1 ORDER BY position
"""


class KnownMembers:
    """The members that are known, in a SQL database."""

    def __init__(self, database: Database, kept: int) -> None:
        """*kept* is for how long what was told is kept, in positions of the log."""
        self._database = database
        self._kept = kept

    async def load(self) -> Sequence[JoinedMember]:
        """Return what was saved, the oldest first; raise `StorageUnavailable`."""
        rows = await self._database.fetch(Statement(_OLDEST_FIRST))
        return [
            JoinedMember(RoomId(intern(room_id)), UserId(intern(user_id)), Timestamp(since))
            for room_id, user_id, since in rows
        ]

    async def told_lately(self) -> Mapping[StreamPosition, bytes]:
        """Return what was saved as told, by its position in the log, the oldest first.

        Raises `StorageUnavailable`.
        """
        rows = await self._database.fetch(Statement(_TOLD_LATELY, (self._kept,)))
        return {StreamPosition(position): payload for position, payload in rows}

    async def save(
        self,
        changed: Mapping[tuple[RoomId, UserId], Timestamp | None],
        told: Mapping[StreamPosition, bytes],
    ) -> None:
        """Store since when each membership is known, None deletes it; and how nodes were told.

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
                await connection.execute(_LEAVE, gone)
            if told:
                rows = [{"position": it, "payload": payload} for it, payload in told.items()]
                await connection.execute(insert_once(connection, findings), rows)
                await connection.execute(_OLD, {"since": max(told) - self._kept})

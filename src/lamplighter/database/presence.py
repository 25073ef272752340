"""Presence across restarts: a store in which many callers share one commit."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from lamplighter.database.engine import Database
from lamplighter.database.tables import presence
from lamplighter.database.upsert import upsert
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import StreamPosition
from lamplighter.ports import SavedPresence
from lamplighter.presence.machine import TrackedUser, Word
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["SqlPresenceStore"]


class SqlPresenceStore:
    """A `PresenceStore` in a SQL database.

    While a commit is under way, what arrives is gathered for the next one. A single task writes,
    as long as there is something to write.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        #: By user, what is not committed yet.
        self._pending: dict[str, SavedPresence] = {}
        #: What the callers of the next commit wait for.
        self._next_commit: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def load(self) -> Sequence[SavedPresence]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(presence))).all()
        return [_saved(row) for row in rows]

    async def save(self, states: Sequence[SavedPresence]) -> None:
        self._gather(states)
        if not self._pending:
            await self._database.try_again()
            return
        if self._next_commit is None:
            self._next_commit = asyncio.get_running_loop().create_future()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        # A caller that gives up must not take the others' commit with it.
        await asyncio.shield(self._next_commit)

    async def settle(self) -> None:
        while self._writer is not None:
            await asyncio.wait({self._writer})

    async def _write(self) -> None:
        try:
            while self._next_commit is not None:
                commit, self._next_commit = self._next_commit, None
                await self._commit_pending(commit)
        finally:
            self._writer = None

    async def _commit_pending(self, done: asyncio.Future[None]) -> None:
        """Commit what is pending; whoever waits for *done* learns how it went."""
        batch, self._pending = self._pending, {}
        try:
            async with self._database.write() as connection:
                statement = upsert(connection, presence, newest_by="position")
                await connection.execute(statement, [_row(saved) for saved in batch.values()])
        except asyncio.CancelledError:
            self._keep(batch)
            done.cancel()
            raise
        except StorageUnavailable as error:
            self._keep(batch)
            done.set_exception(error)
        except Exception as error:  # noqa: BLE001 - the callers' to handle; the rows would raise again
            done.set_exception(error)
        else:
            done.set_result(None)

    def _keep(self, batch: dict[str, SavedPresence]) -> None:
        """Put back what could not be written, below what has arrived meanwhile."""
        arrived, self._pending = self._pending, batch
        self._gather(arrived.values())

    def _gather(self, states: Iterable[SavedPresence]) -> None:
        for saved in states:
            user_id = saved.user.state.user_id
            pending = self._pending.get(user_id)
            if pending is None or pending.position <= saved.position:
                self._pending[user_id] = saved


def _row(saved: SavedPresence) -> dict[str, Any]:
    row = saved.user.state.as_dict()
    row["state"] = str(row["state"])
    if row["status_msg"] is not None:
        # A module may hand in half of a surrogate pair, which no database takes.
        row["status_msg"] = row["status_msg"].encode(errors="replace").decode()
    return {**row, "word": saved.user.word.name, "position": saved.position}


def _saved(row: Any) -> SavedPresence:
    state = UserPresenceState(
        user_id=row.user_id,
        state=Presence(row.state),
        last_active_ts=row.last_active_ts,
        last_federation_update_ts=row.last_federation_update_ts,
        last_user_sync_ts=row.last_user_sync_ts,
        status_msg=row.status_msg,
        currently_active=row.currently_active,
    )
    return SavedPresence(TrackedUser(state, Word[row.word]), StreamPosition(row.position))

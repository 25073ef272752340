"""Presence across restarts: a store in which many callers share one commit.

Example: while a commit is under way, three more users change. Their callers share the next commit,
which is one statement. If it fails, all three callers learn that, and the three states stay in
memory: the next call writes them, even a call without states.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import select

from lamplighter.database.adapter import PresenceRow, Statement
from lamplighter.database.engine import Database
from lamplighter.database.tables import presence
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.machine import StateSource, TrackedUser
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.status_message import shorten_status_msg

__all__ = ["SqlPresenceStore"]

#: Enums by the text of a row: a start looks thousands of them up.
_PRESENCES: Final = {str(it): it for it in Presence}
_ALL: Final = Statement(str(select(*presence.columns)))
_NEWEST: Final = Statement("SELECT max(position) FROM presence")
_SOURCES: Final = {it.name: it for it in StateSource}


class SqlPresenceStore:
    """A `PresenceStore` in a SQL database.

    A single task writes, as long as there is something to write.
    """

    def __init__(self, database: Database, committed: Callable[[int], None]) -> None:
        """After each commit, *committed* is called with the number of states in it."""
        self._database = database
        self._committed = committed
        #: The states that are not committed yet, by user.
        self._pending: dict[str, SavedPresence] = {}
        #: The users whose rows are to be deleted before the pending states are written.
        self._forgotten: set[str] = set()
        #: Done when the next commit is: its callers wait for it.
        self._next_commit: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def load(self) -> Sequence[SavedPresence]:
        # A start reads all rows: SQLAlchemy's own row objects would take twice as long.
        rows = await self._database.fetch(_ALL)
        return [_saved(row) for row in rows]

    async def newest(self) -> StreamPosition:
        """Return the largest position that was saved; 0 if there is none."""
        [(position,)] = await self._database.fetch(_NEWEST)
        return StreamPosition(position or 0)

    def save(self, states: Sequence[SavedPresence]) -> "asyncio.Future[None]":
        self._gather(states)
        loop = asyncio.get_running_loop()
        if self._next_commit is None:
            self._next_commit = loop.create_future()
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        # A caller that is cancelled must not cancel the commit of the others.
        return asyncio.shield(self._next_commit)

    def forget(self, user_id: UserId) -> None:
        self._pending.pop(user_id, None)
        self._forgotten.add(user_id)

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
        """Delete the forgotten users, then write the pending states; set *done*, or its exception.

        Each is one statement, and one commit. If only the first succeeds, nothing is wrong: nobody
        has been told that the states are saved.
        """
        batch, self._pending = self._pending, {}
        forgotten, self._forgotten = self._forgotten, set()
        try:
            if forgotten:
                await self._database.forget_presence(list(forgotten))
            if batch:
                await self._database.save_presence([_row(saved) for saved in batch.values()])
            if not batch and not forgotten:
                await self._database.try_again()
        except asyncio.CancelledError:
            self._keep(batch, forgotten)
            done.cancel()
            raise
        except StorageUnavailable as error:
            self._keep(batch, forgotten)
            done.set_exception(error)
        except Exception as error:  # noqa: BLE001 - the callers' to handle; the rows would raise again
            done.set_exception(error)
        else:
            done.set_result(None)  # first: a failure of what follows is not to let callers wait
            if batch:
                self._committed(len(batch))

    def _keep(self, batch: dict[str, SavedPresence], forgotten: set[str]) -> None:
        """Put back the states of a failed commit; newer ones that have arrived replace them."""
        arrived, self._pending = self._pending, batch
        for user_id in self._forgotten:
            self._pending.pop(user_id, None)
        self._forgotten |= forgotten
        self._gather(arrived.values())

    def _gather(self, states: Iterable[SavedPresence]) -> None:
        for saved in states:
            user_id = saved.user.state.user_id
            pending = self._pending.get(user_id)
            if pending is None or pending.position <= saved.position:
                self._pending[user_id] = saved


def _row(saved: SavedPresence) -> PresenceRow:
    state, status_msg = saved.user.state, saved.user.state.status_msg
    if status_msg is not None:
        # Text that a database refuses must not make it refuse the other rows.
        status_msg = status_msg.encode(errors="replace").decode().replace("\0", "")
    return (
        state.user_id,
        str(state.state),  # the driver knows no enums
        saved.user.source.name,
        state.last_active_ts,
        state.last_federation_update_ts,
        state.last_user_sync_ts,
        status_msg,
        state.currently_active,
        saved.position,
    )


def _saved(row: tuple[Any, ...]) -> SavedPresence:
    """Return the state of a row, whose values have the order of the table's columns."""
    user_id, state, source, active_ts, federation_ts, sync_ts, status_msg, is_active, position = row
    saved = UserPresenceState(
        user_id,
        _PRESENCES[state],
        active_ts,
        federation_ts,
        sync_ts,
        shorten_status_msg(status_msg),  # it may be older than the rule
        bool(is_active),  # SQLite knows no booleans
    )
    return SavedPresence(TrackedUser(saved, _SOURCES[source]), StreamPosition(position))

"""The interface of a SQL engine."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Adapter", "PresenceRow", "Sharing", "Statement", "presence_upsert"]

#: A row of the table `presence`, its values in the order of the columns.
PresenceRow = tuple[str, str, str, int, int, int, str | None, bool, int]


class Sharing(Enum):
    """Who else may write to a database meanwhile; a command beside a server always may."""

    #: No other server.
    ALONE = "alone"
    #: Other nodes of the same cluster.
    NODE = "node"
    #: Everybody: this is no server.
    BESIDE = "beside"


class Statement(NamedTuple):
    """One statement as the drivers of both engines take it."""

    #: The first parameter is written `$1`, the second `$2`.
    sql: str
    values: Sequence[object] = ()


class Adapter(Protocol):
    """One engine: its connections, its errors, and the statements that only it understands.

    Methods raise the driver's own errors; `trouble_of` says which of them tell of the machine.
    """

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give a connection that sees one moment of the database, and cannot write."""

    def write(
        self, still_wanted: Callable[[], None]
    ) -> AbstractAsyncContextManager[AsyncConnection]:
        """Give the one connection that writes, in a transaction.

        *still_wanted* is called when the writes before this one have ended; if it raises, the
        database is asked for nothing.
        """

    async def commit(self, statement: Statement) -> None:
        """Commit *statement* by itself, in turn with the other writes, in one trip."""

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        """Return the rows that *statement* finds in one moment, in one trip."""

    async def close(self) -> None:
        """Close all connections, after the writes that have been asked for."""

    def trouble_of(self, error: Exception) -> str | None:
        """Return what *error* says about the machine; None if it is a mistake of ours."""

    def saving(self, rows: Sequence[PresenceRow]) -> Statement:
        """Return what writes *rows*, except over rows with a larger position."""

    def forgetting(self, user_ids: Sequence[str]) -> Statement:
        """Return what deletes the presence of these users."""


def presence_upsert(rows: str) -> str:
    """Return the SQL that writes each `PresenceRow` that the query *rows* selects.

    A row does not replace one of the same user with a larger position.
    """
    return f"""
INSERT INTO presence (
    user_id, state, word, last_active_ts, last_federation_update_ts, last_user_sync_ts,
    status_msg, currently_active, position
)
{rows}
ON CONFLICT (user_id) DO UPDATE SET
    state = excluded.state,
    word = excluded.word,
    last_active_ts = excluded.last_active_ts,
    last_federation_update_ts = excluded.last_federation_update_ts,
    last_user_sync_ts = excluded.last_user_sync_ts,
    status_msg = excluded.status_msg,
    currently_active = excluded.currently_active,
    position = excluded.position
WHERE excluded.position >= presence.position
"""

"""The SQL database: who may read and write it, how it does, and what its failures look like.

`sqlite.py` and `postgresql.py` each have an adapter for one engine. What they share is here: each
read and write is counted, and each failure of the machine becomes `StorageUnavailable`.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import structlog
from sqlalchemy import update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.adapter import Adapter, PresenceRow, Statement
from lamplighter.database.tables import stream
from lamplighter.errors import InvalidParam, StorageUnavailable

__all__ = ["Database"]

_log = structlog.get_logger(__name__)

_ARE_YOU_THERE: Final = Statement("SELECT position FROM stream")


def _always() -> None:
    """Let every write begin."""


class Database:
    """Connections to one database, for reading and for writing.

    All of them raise `StorageUnavailable` where the database cannot be reached, or its disk is
    full, read-only or broken. Do not open one inside the other: pass the connection on.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        #: Whether the last write was stored, or `try_again` was answered, as far as the machine is
        #: concerned.
        self.can_write = True
        #: How many reads and writes the machine has not done since the start.
        self.failures = 0
        #: How many reads and writes have begun since the start.
        self.begun = 0
        #: How many reads and writes have begun, or wait for others to end, and have not ended.
        self.under_way = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that sees one moment of the database, until the block ends."""
        with self._counted():
            async with self._adapter.read() as connection:
                yield connection

    @asynccontextmanager
    async def write(
        self, still_wanted: Callable[[], None] = _always
    ) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction: committed at the block's end, undone if it raises.

        There is one at a time. *still_wanted* is called when the others before it have ended; if it
        raises, the database is asked for nothing.
        """
        with self._noted():
            async with self._adapter.write(still_wanted) as connection:
                yield connection

    async def commit(self, statement: Statement) -> None:
        """Commit one *statement* by itself, in turn with the other writes.

        It costs a fraction of what `write` does, and cannot read what it did.
        """
        with self._noted():
            await self._adapter.commit(statement)

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        """Return the rows that one *statement* finds, in one moment.

        It costs a fraction of what `read` does, and converts no values.
        """
        with self._counted():
            return await self._adapter.fetch(statement)

    async def save_presence(self, rows: Sequence[PresenceRow]) -> None:
        """Commit *rows* together, except those of which a newer one is stored."""
        await self.commit(self._adapter.saving(rows))

    async def forget_presence(self, user_ids: Sequence[str]) -> None:
        """Delete the presence of these users."""
        await self.commit(self._adapter.forgetting(user_ids))

    async def try_again(self) -> None:
        """Try to write if the last write has failed; else ask only whether the database is there.

        Raises `StorageUnavailable`.
        """
        if self.can_write:
            with self._noted():
                await self._adapter.fetch(_ARE_YOU_THERE)
            return
        async with self.write() as connection:
            await connection.execute(update(stream).values(position=stream.c.position))

    async def close(self) -> None:
        """Close all connections, after the writes that have been asked for."""
        await self._adapter.close()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Note whether the database does what the block asks, and log when that changes."""
        try:
            with self._counted():
                yield
        except StorageUnavailable as problem:
            if self.can_write:
                _log.error("the database cannot be written", problem=str(problem))
            self.can_write = False
            raise
        if not self.can_write:
            _log.info("the database can be written again")
        self.can_write = True

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count the block, and turn its errors into the server's own."""
        self.begun += 1
        self.under_way += 1
        try:
            yield
        except StorageUnavailable:
            self.failures += 1
            raise
        except Exception as error:
            if isinstance(error, StatementError) and isinstance(error.orig, InvalidParam):
                raise error.orig from None  # a value was refused before it was sent
            trouble = self._adapter.trouble_of(error)
            if trouble is None:
                raise
            self.failures += 1
            raise StorageUnavailable(trouble) from error
        finally:
            self.under_way -= 1

"""The SQL database: how it is opened, who may write when, and what a failing disk looks like.

SQLite gets one connection that writes, a few that only read, and one for reads of a single
statement. Writes stand in a queue of our own, so SQLite never has to say that the database is
locked; readers see the last commit and wait for nobody. A database in memory lives in a single
connection, which everybody takes in turn.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import URL, Dialect, event, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from lamplighter.database.shortcut import Shortcut
from lamplighter.database.tables import stream
from lamplighter.errors import InvalidParam, StorageUnavailable

__all__ = ["Database", "open_file", "open_memory"]

_log = structlog.get_logger(__name__)

#: How many reads run at the same time; more of them wait for their turn.
_READERS: Final = 4
#: How long SQLite waits for another process (a backup, somebody's shell) to release its lock.
_BUSY_MILLISECONDS: Final = 5_000

#: SQLite's result codes (<https://www.sqlite.org/rescode.html>) that tell of the machine.
_STORAGE_TROUBLE: Final = {
    sqlite3.SQLITE_FULL: "The disk is full",
    sqlite3.SQLITE_READONLY: "The database is read-only",
    sqlite3.SQLITE_IOERR: "The disk has failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened",
    sqlite3.SQLITE_PERM: "The database file may not be accessed",
    sqlite3.SQLITE_BUSY: "Another process keeps the database locked",
    sqlite3.SQLITE_LOCKED: "Another process keeps the database locked",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged",
    sqlite3.SQLITE_NOTADB: "The file is not a database",
}


def _always() -> None:
    """Want a write whenever it comes to it."""


class Database:
    """Connections to one database, for reading and for writing.

    All of them raise `StorageUnavailable` where the disk is full, read-only or broken. Do not
    open one inside the other: pass the connection on.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, fetcher: AsyncEngine) -> None:
        """Write through *writer*, read through *reader*, and fetch through *fetcher*.

        *writer* and *fetcher* have a single connection each. All may be the same engine.
        """
        self._writer = writer
        self._reader = reader
        self._fetcher = fetcher
        self._writing = Shortcut(writer)
        self._fetching = Shortcut(fetcher)
        self._lock = asyncio.Lock()
        self._can_write = True
        self._failures = 0
        self._begun = 0
        self._under_way = 0

    @property
    def dialect(self) -> Dialect:
        """How this database wants its SQL."""
        return self._writer.dialect

    @property
    def can_write(self) -> bool:
        """Whether the last write could be kept, as far as the machine is concerned."""
        return self._can_write

    @property
    def failures(self) -> int:
        """How many reads and writes the machine has not done since the start."""
        return self._failures

    @property
    def begun(self) -> int:
        """How many reads and writes have begun since the start."""
        return self._begun

    @property
    def under_way(self) -> int:
        """How many reads and writes have begun, or wait for their turn, and have not ended."""
        return self._under_way

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection that sees one moment of the database, until the block ends."""
        with self._counted():
            async with self._turn_to_read(), self._reader.connect() as connection:
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
            async with self._lock:
                still_wanted()
                async with self._writer.begin() as connection:
                    yield connection

    async def commit(self, statement: str, values: Sequence[object]) -> None:
        """Commit one *statement* of the dialect's by itself, in turn with the other writes.

        It costs a fraction of what `write` does, and cannot read what it did.
        """
        with self._noted():
            async with self._lock:
                await self._writing.commit(statement, values)

    async def fetch(self, statement: str, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        """Return the rows that one *statement* of the dialect's finds, in one moment.

        It costs a fraction of what `read` does, and converts no values.
        """
        with self._counted():
            async with self._turn_to_read():
                return await self._fetching.fetch(statement, values)

    async def try_again(self) -> None:
        """Find out whether the database can be written by now, if it could not be at last."""
        if not self._can_write:
            async with self.write() as connection:
                await connection.execute(update(stream).values(position=stream.c.position))

    async def close(self) -> None:
        """Close all connections, after the writes that wait for their turn."""
        async with self._lock:
            for engine in (self._reader, self._fetcher, self._writer):
                await engine.dispose()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Take note of how the write of the block goes, and raise what is told of it."""
        try:
            with self._counted():
                yield
        except StorageUnavailable as problem:
            self._wrote(problem)
            raise
        self._wrote(None)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._begun += 1
        self._under_way += 1
        try:
            with _clear_errors():
                yield
        except StorageUnavailable:
            self._failures += 1
            raise
        finally:
            self._under_way -= 1

    def _wrote(self, problem: StorageUnavailable | None) -> None:
        """Take note of how a write went, and say so where it went otherwise than the last."""
        could, self._can_write = self._can_write, problem is None
        if could and problem is not None:
            _log.error("the database cannot be written", problem=str(problem))
        elif problem is None and not could:
            _log.info("the database can be written again")

    def _turn_to_read(self) -> AbstractAsyncContextManager[object]:
        return self._lock if self._reader is self._writer else nullcontext()


def open_file(path: Path) -> Database:
    """Return the SQLite database in the file *path*, which is created when first used."""
    url = URL.create("sqlite+aiosqlite", database=str(path))
    writer = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=None)
    reader = create_async_engine(url, pool_size=_READERS, max_overflow=0, pool_timeout=None)
    fetcher = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=None)
    _prepare(writer, "BEGIN IMMEDIATE", "journal_mode = WAL", "synchronous = FULL")
    for engine in (reader, fetcher):
        _prepare(engine, "BEGIN", "query_only = ON")
    return Database(writer, reader, fetcher)


def open_memory() -> Database:
    """Return a new, empty SQLite database in memory; it ends with `close`."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    _prepare(engine, "BEGIN")
    return Database(engine, engine, engine)


def _prepare(engine: AsyncEngine, begin: str, *pragmas: str) -> None:
    """Make every connection of *engine* start its transactions with *begin*, under *pragmas*."""
    settings = (
        f"busy_timeout = {_BUSY_MILLISECONDS}",
        "foreign_keys = ON",
        # PostgreSQL's LIKE tells upper from lower case; so shall SQLite's.
        "case_sensitive_like = ON",
        *pragmas,
    )

    def on_connect(connection: Any, record: object) -> None:  # noqa: ARG001 - SQLAlchemy's shape
        connection.isolation_level = None  # the driver shall begin nothing by itself
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", lambda conn: conn.exec_driver_sql(begin))


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what the driver says about the machine into `StorageUnavailable`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:  # the latter from a connection's first PRAGMAs
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", None)
        trouble = None if code is None else _STORAGE_TROUBLE.get(code & 0xFF)
        if trouble is None:
            raise
        raise StorageUnavailable(f"{trouble} ({cause})") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair: no database takes it
        raise InvalidParam("The request contains text that is not valid Unicode") from error

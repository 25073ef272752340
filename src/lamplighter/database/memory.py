"""SQLite in memory, for servers that store nothing: tests, simulations, and checks.

Such a database has no disk to wait for, so no thread is needed. A statement runs in the event
loop's own thread, after one turn of the event loop: other tasks run between two statements, as they
do while a statement waits for a thread.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final

from sqlalchemy import Engine, event, make_url
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache, await_only

from lamplighter.clock import next_turn
from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.database.migrate import empty_database
from lamplighter.database.sqlite import SETTINGS, SqliteStatements

__all__ = ["open_memory"]

_URL: Final = make_url("sqlite+lamplighter_memory://")

#: The statements as SQL, of all databases in memory. A test or a simulation ends soon: it would
#: spend most of its time in the database on statements that another one has compiled.
_COMPILED: Final[LRUCache[Any, Any]] = LRUCache(500)


class _Dialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's way to Python's own driver, used from an event loop."""

    driver = "lamplighter_memory"
    is_async = True
    supports_statement_cache = True
    #: Which SQLite it is: a dialect usually asks the first connection of its only engine.
    server_version_info = sqlite3.sqlite_version_info


class _Cursor(sqlite3.Cursor):
    """A cursor that has fetched everything once a statement is executed.

    So a result says what was true then, as results from other drivers of event loops do.
    """

    _rows: Iterator[Any] = iter(())

    def execute(self, *arguments: Any) -> "_Cursor":
        super().execute(*arguments)
        self._rows = iter(super().fetchall())
        return self

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        return list(islice(self._rows, size))

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    async def _async_soft_close(self) -> None:
        """SQLAlchemy calls this once it has the cursor of a result; nothing is left open."""


class _Connection(sqlite3.Connection):
    """A connection with such cursors, which stays open: the database would end with it.

    SQLAlchemy closes a connection if the task that waits for a statement is cancelled.
    """

    def close(self) -> None:
        self.rollback()

    def end(self) -> None:
        """Close the connection."""
        super().close()

    def cursor(self, *_: object) -> _Cursor:  # type: ignore[override] # nobody asks for others
        return super().cursor(_Cursor)


#: The dialect of all databases in memory: it is part of the keys of `_COMPILED`.
_DIALECT: Final = _Dialect(dbapi=sqlite3)


class _MemoryAdapter(SqliteStatements):
    """The `Adapter` of a database in memory: its one connection serves one after the other."""

    def __init__(self) -> None:
        self._in_use = asyncio.Lock()
        self._driver = sqlite3.connect(":memory:", isolation_level=None, factory=_Connection)
        self._driver.deserialize(empty_database())
        for setting in SETTINGS:
            self._driver.execute(f"PRAGMA {setting}")
        driver: Any = self._driver
        pool = StaticPool(lambda: driver, dialect=_DIALECT)
        engine = Engine(pool, _DIALECT, _URL, execution_options={"compiled_cache": _COMPILED})
        event.listen(engine, "begin", _begin)
        event.listen(engine, "before_cursor_execute", _let_others_run)
        self._engine = AsyncEngine(engine)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._in_use, self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self, still_wanted: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
        async with self._in_use:
            still_wanted()
            async with self._engine.begin() as connection:
                yield connection

    async def commit(self, statement: Statement) -> None:
        await self.fetch(statement)

    async def fetch(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        async with self._in_use:
            await next_turn()
            rows: list[tuple[Any, ...]] = self._driver.execute(
                statement.sql, self.named(statement.values)
            ).fetchall()
        return rows

    async def close(self) -> None:
        async with self._in_use:
            await self._engine.dispose()
            self._driver.end()


def open_memory() -> Database:
    """Return a new SQLite database in memory; it ends with `close`.

    The database has the tables of this version, with nothing in them.
    """
    return Database(_MemoryAdapter())


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _let_others_run(*_: object) -> None:
    await_only(next_turn())

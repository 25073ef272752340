"""A database for modules, apart from the server's, so that modules can harm only each other.

It is a SQLite file, created at the first use. One thread runs the transactions of all modules, one
after the other.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog

from lamplighter.modules.background import Job, Label
from lamplighter.modules.threads import Worker

__all__ = ["ModuleDatabase", "ModuleTransaction"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

#: Values that SQLite binds by position or by name.
Parameters = Sequence[Any] | Mapping[str, Any]


class ModuleTransaction:
    """What a module's function works with: a DB-API cursor within one transaction."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._after: list[Callable[[], object]] = []
        self._on_exception: list[Callable[[], object]] = []

    @property
    def description(self) -> Any:
        """The columns of the last query, as in DB-API."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement has changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The row ID of the last insertion."""
        return self._cursor.lastrowid

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement; its parameters are written `?`, or `:name`."""
        self._cursor.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Run one statement with each of *parameters*."""
        self._cursor.executemany(sql, parameters)

    def execute_batch(self, sql: str, parameters: Iterable[Parameters]) -> None:
        """Run one statement with each of *parameters*."""
        self._cursor.executemany(sql, parameters)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        row: tuple[Any, ...] | None = self._cursor.fetchone()
        return row

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return the next rows."""
        return self._cursor.fetchmany(size or self._cursor.arraysize)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows that are left."""
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._cursor

    def close(self) -> None:
        """Do nothing: the transaction ends with the function."""

    def call_after(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Call *callback*, in the same thread, once the transaction is committed."""
        self._after.append(lambda: callback(*args, **kwargs))

    def call_on_exception(self, callback: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Call *callback*, in the same thread, if the transaction is rolled back."""
        self._on_exception.append(lambda: callback(*args, **kwargs))

    def committed(self) -> None:
        """Call the callbacks of `call_after`."""
        for callback in self._after:
            callback()

    def rolled_back(self) -> None:
        """Call the callbacks of `call_on_exception`."""
        for callback in self._on_exception:
            callback()


class ModuleDatabase:
    """The modules' own database: a file, or memory if *path* is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._worker = Worker("module-database")

    def run(
        self,
        label: Label,
        func: Callable[Concatenate[ModuleTransaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[T]:
        """Call *func* with a transaction: committed if it returns, rolled back if it raises."""
        job: Job[T] = Job()

        def conclude(done: "Future[T]") -> None:
            error = done.exception()
            if error is not None:
                job.set_exception(error)
            else:
                job.set_result(done.result())

        done = self._worker.submit(lambda: self._interact(label, func, *args, **kwargs))
        done.add_done_callback(conclude)
        return job

    def close(self) -> "Future[None]":
        """Close the file after all transactions so far; the caller need not wait for that."""
        return self._worker.end(self._disconnect)

    def _interact(
        self,
        label: Label,
        func: Callable[Concatenate[ModuleTransaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        transaction = ModuleTransaction(connection.cursor())
        try:
            result = func(transaction, *args, **kwargs)
            connection.commit()
        except BaseException as error:
            # The job has the exception too, but modules often do not look at it.
            _log.info("transaction undone", module=label.module, desc=label.desc, error=repr(error))
            connection.rollback()
            transaction.rolled_back()
            raise
        transaction.committed()
        return result

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            # None: `run` begins and ends each transaction, and not the sqlite3 module.
            self._connection = sqlite3.connect(self._path or ":memory:", isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

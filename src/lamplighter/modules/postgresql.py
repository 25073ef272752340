"""The modules' databases in PostgreSQL: a schema of their own, which all nodes share.

A module writes the same SQL as for SQLite, with parameters written `?`, as far as both engines
understand it. What holds for SQLite holds here:

- One transaction runs at a time, on all nodes together: each takes an advisory lock. So a function
  that reads a number and writes a larger one needs no lock of its own.
- A module leaves nothing behind in the session: settings, temporary tables and locks of the session
  are discarded before the next transaction, which may be another module's.
- A connection that has failed is replaced at the next transaction.

PostgreSQL gives up a statement after a minute, and a transaction in which nothing has happened for
half a minute: it may be that of a node that hangs, and others wait for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from lamplighter.modules.placeholders import for_psycopg
from lamplighter.modules.storage import (
    Cursor,
    ModuleDatabase,
    ModuleDatabases,
    ModulePlace,
    Parameters,
)

__all__ = ["PostgresqlEngine", "postgresql_databases"]

#: How long a connection, an answer, and the next statement of a transaction are waited for.
_CONNECTION: Final = timedelta(seconds=5)
_ANSWER: Final = timedelta(minutes=1)
_NEXT_STATEMENT: Final = timedelta(seconds=30)
_SETTINGS: Final = {
    "statement_timeout": _ANSWER,
    "idle_in_transaction_session_timeout": _NEXT_STATEMENT,
}


class PostgresqlEngine:
    """A `ModuleEngine` on one schema of the database at *url*, which it creates at its first use.

    Its errors are those of psycopg, which are those of DB-API by name.
    """

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        #: One of ours: it needs no quotes.
        self._schema = schema
        self._lock = f"SELECT pg_advisory_xact_lock(hashtext('{schema}'))"
        self._connection: psycopg.Connection[Any] | None = None

    def begin(self) -> Cursor:
        connection = self._clean() or self._connect()
        connection.execute(f"BEGIN; {self._lock}")
        return _Cursor(psycopg.ClientCursor(connection))

    def commit(self) -> None:
        if self._connection is None:
            return
        if self._connection.info.transaction_status is TransactionStatus.INERROR:
            # PostgreSQL would undo the transaction without a word.
            raise psycopg.errors.InFailedSqlTransaction(
                "a statement of this transaction has failed, so that nothing of it can be stored"
            )
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _clean(self) -> "psycopg.Connection[Any] | None":
        """Return the connection, as if it were new; None if there is none that can be used."""
        if self._connection is None:
            return None
        try:
            self._connection.execute("DISCARD ALL")
        except psycopg.Error:
            self.close()
        return self._connection

    def _connect(self) -> "psycopg.Connection[Any]":
        settings = {name: it // timedelta(milliseconds=1) for name, it in _SETTINGS.items()}
        options = {"search_path": self._schema, **settings}
        self._connection = psycopg.connect(
            self._url,
            autocommit=True,  # the statements here begin and end each transaction
            prepare_threshold=None,
            connect_timeout=_CONNECTION // timedelta(seconds=1),
            application_name="lamplighter modules",
            options=" ".join(f"-c {name}={value}" for name, value in options.items()),
            # A machine that has vanished is noticed after a minute.
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
        )
        try:
            self._make_schema(self._connection)
        except BaseException:
            self.close()
            raise
        return self._connection

    def _make_schema(self, connection: "psycopg.Connection[Any]") -> None:
        """Create the schema if there is none: another node may be doing so."""
        exists = connection.execute("SELECT to_regnamespace(%s)", (self._schema,)).fetchone()
        if exists == (None,):
            with connection.transaction():
                connection.execute(self._lock)
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")


class _Cursor:
    """A cursor that takes the parameters of SQLite, and finds nothing where there are no rows."""

    #: There are no row IDs: SQL says `RETURNING id`, which SQLite understands, too.
    lastrowid: Final = None

    def __init__(self, cursor: "psycopg.ClientCursor[Any]") -> None:
        self._cursor = cursor

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, parameters: Parameters = (), /) -> object:
        named = isinstance(parameters, Mapping)
        return self._cursor.execute(for_psycopg(sql, named=named), parameters)

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> None:
        rows = list(parameters)
        named = bool(rows) and isinstance(rows[0], Mapping)
        self._cursor.executemany(for_psycopg(sql, named=named), rows)

    def fetchone(self) -> Any:
        return self._cursor.fetchone() if self.description else None

    def fetchmany(self, size: int = 1, /) -> list[Any]:
        return self._cursor.fetchmany(size) if self.description else []

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall() if self.description else []

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchone, None)

    def close(self) -> None:
        self._cursor.close()


def postgresql_databases(url: str) -> ModuleDatabases:
    """Return the databases of a set of modules, each a schema of the database at *url*."""
    engine = partial(PostgresqlEngine, url)
    return ModuleDatabases(
        ModuleDatabase(engine(ModulePlace.IN_USE.schema)),
        ModuleDatabase(engine(ModulePlace.SHADOW.schema)),
    )

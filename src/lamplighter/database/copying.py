"""Copies SQLite databases into an empty PostgreSQL database, in one transaction.

Every row is read twice. The first time, `unfit_values` looks for what PostgreSQL cannot store:
SQLite takes any value in any column, text with a NUL, and text that is not UTF-8. The second time,
`copy_all` sends the rows, as many at a time as the connection takes. So memory is bounded, and a
failure leaves PostgreSQL as it was.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    Numeric,
    Table,
    create_engine,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from lamplighter.database.migrate import upgrade
from lamplighter.database.postgresql import THE_SERVER
from lamplighter.database.tables import metadata
from lamplighter.errors import ConfigError, DatabaseInUse, StorageUnavailable

__all__ = ["SOURCE", "SqliteSource", "copy_all", "server_source", "unfit_values"]

#: Connecting, and waiting for a lock: as long as a server does.
_SECONDS: Final = 5
_OPTIONS: Final = f"-c lock_timeout={_SECONDS * 1000} -c statement_timeout=0 -c jit=off"


#: The key of `info` under which a table, or a column, has its name in SQLite, if that differs.
SOURCE: Final = "source"


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """A SQLite file, which nobody writes, and the tables that it has in PostgreSQL."""

    path: Path
    tables: MetaData
    #: Makes the tables where they are lacking.
    make_tables: Callable[[Connection], None]
    #: What the file has, and PostgreSQL does not get.
    left_behind: tuple[str, ...] = ()


def server_source(path: Path) -> SqliteSource:
    """Bring a server's own database to the tables of this version; return it as a source.

    Raises `ConfigError` if it was made by a newer version, or is no database.
    """
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            upgrade(connection)
    except DBAPIError as error:
        raise ConfigError(f"data_dir: {path.name} cannot be used: {error.orig}") from None
    return SqliteSource(path, metadata, upgrade)


def unfit_values(source: SqliteSource) -> Iterator[str]:
    """Name each value that PostgreSQL cannot store, with the key of its row, and what is wrong."""
    with closing(_opened(source.path)) as database:
        for table in source.tables.sorted_tables:
            yield from _unfit_in(database, table)
        for name, row_id, parent, _ in database.execute("PRAGMA foreign_key_check"):
            yield f"{name}: the row {row_id} refers to a row that {parent} does not have"


def copy_all(url: str, sources: Sequence[SqliteSource]) -> Mapping[str, int]:
    """Copy all tables of *sources*; return how many rows each table has, by its name.

    Raises:
        ConfigError: the database at *url* has data.
        DatabaseInUse: a server uses it.
        StorageUnavailable: PostgreSQL fails, or refuses something.
    """
    copied: dict[str, int] = {}
    with _in_transaction(url) as connection:
        for source in sources:
            _refuse_data(connection, source.tables)
            source.make_tables(connection)
        for source in sources:
            with closing(_opened(source.path)) as database:
                for table in source.tables.sorted_tables:
                    copied[table.fullname] = _copy(connection, database, table)
    return copied


@contextmanager
def _in_transaction(url: str) -> Iterator[Connection]:
    """Give a connection that no server can share; committed at the end of the block."""

    def connect() -> Any:
        return psycopg.connect(url, connect_timeout=_SECONDS, options=_OPTIONS)

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            if not connection.scalar(select(func.pg_try_advisory_xact_lock(THE_SERVER))):
                raise DatabaseInUse("Another Lamplighter uses this database")
            yield connection
    except (DBAPIError, psycopg.Error) as error:
        said = error.orig if isinstance(error, DBAPIError) else error
        raise StorageUnavailable(f"PostgreSQL has failed, nothing is copied: {said}") from error


def _refuse_data(connection: Connection, tables: MetaData) -> None:
    """Raise `ConfigError` if a table has rows; nobody adds any until the transaction ends."""
    finder = inspect(connection)
    present = [it for it in tables.sorted_tables if finder.has_table(it.name, schema=it.schema)]
    if present:
        names = ", ".join(connection.dialect.identifier_preparer.format_table(it) for it in present)
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    full = [it.fullname for it in present if connection.scalar(select(select(it).exists()))]
    if full:
        raise ConfigError(
            f"database: there is data already, in {', '.join(full)}; name an empty database"
        )


def _copy(connection: Connection, database: sqlite3.Connection, table: Table) -> int:
    """Copy all rows of *table*, and return how many they are."""
    rows = 0
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*filter(None, (table.schema, table.name))),
        sql.SQL(", ").join(sql.Identifier(it.name) for it in table.columns),
    )
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in _rows(database, table):
            copy.write_row(row)
            rows += 1
    arrived = connection.scalar(select(func.count()).select_from(table))
    if arrived != rows:
        raise StorageUnavailable(
            f"PostgreSQL has {arrived} rows of {rows} in {table.fullname}: nothing is copied"
        )
    connection.execute(
        text(f"ANALYZE {connection.dialect.identifier_preparer.format_table(table)}")
    )
    return rows


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    # Text that is not UTF-8 becomes text that cannot be encoded.
    database.text_factory = lambda data: data.decode(errors="surrogateescape")
    return database


def _rows(database: sqlite3.Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    columns = ", ".join(map(_in_sqlite, table.columns))
    return iter(database.execute(f"SELECT {columns} FROM {_in_sqlite(table)}"))


def _in_sqlite(named: Table | Column[Any]) -> str:
    name: str = named.info.get(SOURCE, named.name)
    return '"' + name.replace('"', '""') + '"'


def _unfit_in(database: sqlite3.Connection, table: Table) -> Iterator[str]:
    columns = list(table.columns)
    checks = list(enumerate(map(_check_of, columns)))
    key = [index for index, column in enumerate(columns) if column.primary_key]
    for row in _rows(database, table):
        for index, check in checks:
            problem = check(row[index])
            if problem is not None:
                where = ", ".join(short(row[it]) for it in key)
                yield f"{table.name}.{columns[index].name} of {where}: {problem}"


def _check_of(column: Column[Any]) -> Callable[[object], str | None]:
    """Return what tells why a value does not fit into *column*; None if it does."""
    if isinstance(column.type, Boolean):
        check = _not_a_boolean
    elif isinstance(column.type, Integer):
        check = _not_whole
    elif isinstance(column.type, Numeric | Float):
        check = _not_a_number
    elif isinstance(column.type, LargeBinary):
        check = _not_bytes
    else:
        check = _not_text
    return _or_null(check) if column.nullable else check


def _or_null(check: Callable[[object], str | None]) -> Callable[[object], str | None]:
    return lambda value: None if value is None else check(value)


def _not_a_boolean(value: object) -> str | None:
    return None if value in (0, 1) else f"{short(value)} is neither true nor false"


def _not_whole(value: object) -> str | None:
    return None if isinstance(value, int) else f"{short(value)} is no whole number"


def _not_a_number(value: object) -> str | None:
    return None if isinstance(value, int | float) else f"{short(value)} is no number"


def _not_bytes(value: object) -> str | None:
    return None if isinstance(value, bytes) else f"{short(value)} is no BLOB"


def _not_text(value: object) -> str | None:
    if not isinstance(value, str):
        return f"{short(value)} is no text"
    if "\0" in value:
        return "text that holds a NUL"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "text that is not valid Unicode"
    return None

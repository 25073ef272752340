"""The tables that modules have made in a SQLite file, as tables of PostgreSQL.

A module has written the tables in SQL that it also gives to PostgreSQL, or is about to. So a name
without quotes becomes a name in lower case, and a column gets the type that its own declaration
means in PostgreSQL. Where a declaration says nothing (SQLite takes any word for a type), the values
decide. Views, triggers, checks and the like are left behind, each with its name.
"""

import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Float,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import CreateSchema
from sqlalchemy.types import NullType, TypeEngine

from lamplighter.database.copying import SOURCE, SqliteSource
from lamplighter.database.engine import Database
from lamplighter.errors import ConfigError

__all__ = ["has_schema", "has_tables", "modules_source"]

#: A default that means the same in both.
_DEFAULT: Final = re.compile(
    r"(?i)(?P<word>NULL|TRUE|FALSE|CURRENT_(?:TIMESTAMP|DATE|TIME))"
    r"|(?P<number>[-+]?[0-9]+(?:\.[0-9]+)?)|(?P<string>'[^']*(?:''[^']*)*')"
)
_NUMBERS: Final = frozenset({"integer", "real"})


class _Declared(NamedTuple):
    """What SQLite knows of a table."""

    table: Table
    #: The statement that made it.
    sql: str
    #: The types of the columns as they were written, by name.
    types: Mapping[str, str]
    #: The kinds of values in each column: `integer`, `real`, `text`, `blob`.
    values: Mapping[str, frozenset[str]]
    #: What a foreign key does when its row is updated, and deleted, by its first column.
    actions: Mapping[str, tuple[str, str]]
    #: The largest row ID that was given out.
    last_row_id: int


def has_tables(path: Path) -> bool:
    """Tell whether the file *path* is a SQLite database with tables; it is only read."""
    if not path.is_file():
        return False
    quiet = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    address = f"file:{quote(str(path.absolute()))}?mode=ro{quiet}"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            [(tables,)] = database.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        raise ConfigError(f"data_dir: {path} cannot be used: {error}") from None
    return bool(tables)


async def has_schema(database: Database, schema: str) -> bool:
    """Tell whether a PostgreSQL database has a schema of this name."""
    async with database.read() as connection:
        found = await connection.execute(
            select(text("to_regnamespace(:schema)")), {"schema": schema}
        )
        return found.scalar() is not None


def modules_source(path: Path, schema: str) -> SqliteSource:
    """Return the SQLite file of modules as a source of tables in *schema*.

    Raises `ConfigError` if there is a virtual table, which PostgreSQL has nothing like.
    """
    target = MetaData(schema=schema)
    left_behind: list[str] = []
    with closing(sqlite3.connect(path)) as database:
        for declared in _declared(path, database):
            left_behind += _Translation(declared, target).made()
        beside = database.execute(
            "SELECT type, name FROM sqlite_master WHERE type != 'table' AND sql IS NOT NULL"
        )
        made = {index.info[SOURCE] for table in target.sorted_tables for index in table.indexes}
        left_behind += [f"{kind} {name}" for kind, name in beside if name not in made]

    def make_tables(connection: Connection) -> None:
        if not inspect(connection).has_schema(schema):
            connection.execute(CreateSchema(schema))
        target.create_all(connection)

    return SqliteSource(path, target, make_tables, tuple(left_behind))


def _declared(path: Path, database: sqlite3.Connection) -> Iterator[_Declared]:
    found = MetaData()
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it skips is said in words of our own
        found.reflect(engine)
    for table in found.sorted_tables:
        statement = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
        [(sql,)] = database.execute(statement, (table.name,)).fetchall()
        if sql.upper().startswith("CREATE VIRTUAL"):
            raise ConfigError(f"data_dir: {path.name}: {table.name} is a virtual table")
        name = _quoted(table.name)
        types = {row[1]: row[2] for row in database.execute(f"PRAGMA table_xinfo({name})")}
        values = {
            column: frozenset(
                kind
                for (kind,) in database.execute(
                    f"SELECT DISTINCT typeof({_quoted(column)}) FROM {name}"
                )
                if kind != "null"
            )
            for column in types
        }
        keys = database.execute(f"PRAGMA foreign_key_list({name})")
        actions = {row[3]: (row[5], row[6]) for row in keys if row[1] == 0}
        yield _Declared(table, sql, types, values, actions, _last_row_id(database, table))


def _last_row_id(database: sqlite3.Connection, table: Table) -> int:
    try:
        largest = database.execute(f"SELECT max(rowid) FROM {_quoted(table.name)}").fetchone()[0]
    except sqlite3.OperationalError:  # WITHOUT ROWID
        return 0
    kept = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
    if kept.fetchone() is None:
        return largest or 0
    statement = "SELECT max(seq) FROM sqlite_sequence WHERE name = ?"
    [(given_out,)] = database.execute(statement, (table.name,)).fetchall()
    return max(largest or 0, given_out or 0)


class _Translation:
    """One table, on its way from SQLite to PostgreSQL."""

    def __init__(self, declared: _Declared, target: MetaData) -> None:
        self._declared = declared
        self._table = declared.table
        self._target = target
        self._left_behind: list[str] = []

    def made(self) -> list[str]:
        """Add the table to the target; return what is left behind."""
        old = self._table
        new = Table(
            self._name(old.name),
            self._target,
            *(self._column(column) for column in old.columns),
            *self._constraints(),
            info={SOURCE: old.name},
        )
        for index in old.indexes:
            if index.dialect_options["sqlite"]["where"] is None:
                columns = (new.c[self._name(it.name)] for it in index.columns)
                name, info = str(index.name), {SOURCE: index.name}
                Index(self._name(name), *columns, unique=bool(index.unique), info=info)
        if "NOCASE" in self._declared.sql.upper():
            self._left_behind.append(f"collation NOCASE in {old.name}")
        return self._left_behind

    def _constraints(self) -> Iterator[Any]:
        for constraint in sorted(self._table.constraints, key=lambda it: type(it).__name__):
            names = [self._name(it.name) for it in getattr(constraint, "columns", ())]
            if isinstance(constraint, CheckConstraint):
                self._left_behind.append(f"check in {self._table.name}: {constraint.sqltext}")
            elif isinstance(constraint, ForeignKeyConstraint):
                first = constraint.elements[0].parent.name
                on_update, on_delete = self._declared.actions[first]
                yield ForeignKeyConstraint(
                    names,
                    [
                        f"{self._target.schema}.{self._name(it.column.table.name)}"
                        f".{self._name(it.column.name)}"
                        for it in constraint.elements
                    ],
                    onupdate=on_update,
                    ondelete=on_delete,
                )
            elif isinstance(constraint, PrimaryKeyConstraint) and names:
                yield PrimaryKeyConstraint(*names)
            elif isinstance(constraint, UniqueConstraint):
                yield UniqueConstraint(*names)

    def _column(self, old: Column[Any]) -> Column[Any]:
        kind = _type_of(old.type, self._declared.types[old.name], self._declared.values[old.name])
        counts = (
            list(self._table.primary_key) == [old]
            and self._declared.types[old.name].upper() == "INTEGER"
            and "WITHOUT ROWID" not in self._declared.sql.upper()
        )
        # SQLite gives a row ID where an INTEGER PRIMARY KEY gets none.
        made_up = [Identity(start=self._declared.last_row_id + 1)] if counts else []
        return Column(
            self._name(old.name),
            kind,
            *made_up,
            nullable=bool(old.nullable) and not old.primary_key,
            autoincrement=counts,
            server_default=None if counts else self._default(old),
            info={SOURCE: old.name},
        )

    def _default(self, old: Column[Any]) -> Any:
        if old.server_default is None:
            return None
        written = str(getattr(old.server_default, "arg", "an expression"))
        found = _DEFAULT.fullmatch(written)
        if found is None:
            self._left_behind.append(f"default of {self._table.name}.{old.name}: {written}")
            return None
        # A string is taken as whatever the column is.
        return text(f"'{found['number']}'" if found["number"] else written.replace(":", "\\:"))

    def _name(self, name: str) -> str:
        """Return what PostgreSQL makes of *name*, as the module has written it."""
        is_quoted = re.search(rf'["`\[]{re.escape(name)}["`\]]', self._declared.sql)
        return name if is_quoted else name.lower()


def _type_of(declared: TypeEngine[Any], written: str, values: frozenset[str]) -> TypeEngine[Any]:
    """Return the type of a column in PostgreSQL, from what is declared, and from its values."""
    simple: list[tuple[type, TypeEngine[Any]]] = [
        (Boolean, Boolean()),
        (Integer, BigInteger()),
        (Float, Double()),
        (LargeBinary, LargeBinary()),
        (JSON, JSON()),
        (String, Text()),
    ]
    for kind, made in simple:
        if isinstance(declared, kind):
            return made
    if values and values <= _NUMBERS:
        if isinstance(declared, Numeric):
            return Numeric()
        return Double() if "real" in values else BigInteger()
    if isinstance(declared, Date | DateTime):
        return DateTime() if isinstance(declared, DateTime) else Date()
    if values == {"blob"} or (not values and written.upper() == "BYTEA"):
        return LargeBinary()
    return Text() if values or isinstance(declared, NullType) else Numeric()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

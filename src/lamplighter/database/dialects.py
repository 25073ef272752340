"""Columns and expressions that mean the same on both engines, and that SQLAlchemy lacks."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Dialect, String, Table, Text, TypeDecorator
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from lamplighter.errors import InvalidParam

__all__ = ["PlainText", "byte_length", "insert_once", "json_text", "upsert"]

_INSERT: Final[Mapping[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class PlainText(TypeDecorator[str]):
    """Text without NULs, which PostgreSQL has no place for, and without half surrogate pairs.

    Any other value raises `InvalidParam`, in writes and in queries. Text sorts and compares byte by
    byte: in PostgreSQL that is the collation "C". The length is for readers of the schema: SQLite
    ignores it, and PostgreSQL has none.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Text(collation="C"))
        return dialect.type_descriptor(Text() if self.length is None else String(self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's shape
        if value is not None:
            if "\0" in value:
                raise InvalidParam("The request contains text that holds a NUL")
            try:
                value.encode()
            except UnicodeEncodeError:
                raise InvalidParam("The request contains text that is not valid Unicode") from None
        return value


def upsert(connection: AsyncConnection, table: Table) -> Any:
    """Return a statement that inserts a row of *table*, or replaces the row with its key."""
    return _upsert(connection.dialect.name, table)


def insert_once(connection: AsyncConnection, table: Table) -> Any:
    """Return a statement that inserts a row of *table*, unless there is one with its key."""
    return _insert_once(connection.dialect.name, table)


# Each statement is built once: SQLAlchemy takes longer for it than SQLite for the row.


@cache
def _upsert(dialect: str, table: Table) -> Any:
    statement = _INSERT[dialect](table)
    key = [column.name for column in table.primary_key]
    replaced = {c.name: statement.excluded[c.name] for c in table.c if c.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=replaced)


@cache
def _insert_once(dialect: str, table: Table) -> Any:
    key = [column.name for column in table.primary_key]
    return _INSERT[dialect](table).on_conflict_do_nothing(index_elements=key)


class byte_length(FunctionElement[int]):  # noqa: N801 - it is used as a function
    """How many bytes of UTF-8 a text has."""

    type = BigInteger()
    inherit_cache = True


class json_text(FunctionElement[str]):  # noqa: N801 - it is used as a function
    r"""The text that a JSON object, given as text, has under a key; null if that cannot be told.

    PostgreSQL fails on an object with `\u0000` anywhere in it: there is no text in such a one.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, content: ColumnElement[str], key: str) -> None:
        super().__init__(content, key)


@compiles(byte_length, "sqlite")
def _bytes_in_sqlite(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


@compiles(byte_length, "postgresql")
def _bytes_in_postgresql(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **kw)})"


@compiles(json_text, "sqlite")
def _json_in_sqlite(element: json_text, compiler: SQLCompiler, **kw: Any) -> str:
    content, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_extract({content}, '$.' || {key})"


@compiles(json_text, "postgresql")
def _json_in_postgresql(element: json_text, compiler: SQLCompiler, **kw: Any) -> str:
    content, key = (compiler.process(clause, **kw) for clause in element.clauses)
    sound = f"position('\\u0000' in {content}) = 0"
    return f"CASE WHEN {sound} THEN {content}::json ->> {key}::text END"

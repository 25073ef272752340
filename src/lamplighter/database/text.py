"""Columns of text that takes the same values in both databases."""

from typing import Any

from sqlalchemy import Dialect, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from lamplighter.errors import InvalidParam

__all__ = ["PlainText"]


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

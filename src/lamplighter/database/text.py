"""Columns of text that takes the same values in both databases."""

from typing import Any

from sqlalchemy import Dialect, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from lamplighter.errors import InvalidParam

__all__ = ["PlainText", "fault_of_text"]


def fault_of_text(text: str) -> str | None:
    """Return why a database cannot take *text*; None if it can."""
    if "\0" in text:
        return "text that holds a NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text that is not valid Unicode"
    return None


class PlainText(TypeDecorator[str]):
    """Text without NULs, which PostgreSQL has no place for, and without half surrogate pairs.

    Any other value raises `InvalidParam`, in what is written and in what is asked for. Text sorts
    and compares byte by byte: in PostgreSQL that is the collation "C". The length is a remark for
    readers of the schema: SQLite does not heed it, and PostgreSQL has none.
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
        fault = None if value is None else fault_of_text(value)
        if fault is not None:
            raise InvalidParam(f"The request contains {fault}")
        return value

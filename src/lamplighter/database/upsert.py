"""`INSERT … ON CONFLICT DO UPDATE`, which the databases spell alike and SQLAlchemy does not."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["upsert"]

_INSERT: Final[Mapping[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class _Database(Protocol):
    """A connection, or what opens them."""

    @property
    def dialect(self) -> Dialect: ...


def upsert(database: _Database, table: Table, *, newest_by: str | None = None) -> Any:
    """Return a statement that inserts a row of *table*, or replaces the one with its primary key.

    With *newest_by*, a row whose column of that name is larger than the new one's stays.
    """
    statement = _INSERT[database.dialect.name](table)
    key = [column.name for column in table.primary_key]
    replaced = {c.name: statement.excluded[c.name] for c in table.c if c.name not in key}
    newer = None
    if newest_by is not None:
        newer = statement.excluded[newest_by] >= table.c[newest_by]
    return statement.on_conflict_do_update(index_elements=key, set_=replaced, where=newer)

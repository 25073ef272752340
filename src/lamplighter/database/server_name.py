"""A database belongs to one server name: its user IDs, rooms and tokens are of that name.

The name is kept with the first start. A database from before names were kept says it by its
accounts.
"""

from typing import Final

from sqlalchemy import Connection, inspect, select

from lamplighter.database.engine import Database
from lamplighter.database.tables import users, visibility
from lamplighter.database.visibility import KEPT_UNDER, SqlVisibilityStore
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName, UserId, server_of

__all__ = ["check_server_name", "keep_server_name"]

_KEPT: Final = select(visibility.c.content).where(visibility.c.viewer == KEPT_UNDER)
_SOME_USER: Final = select(users.c.user_id).limit(1)


async def keep_server_name(database: Database, name: ServerName) -> None:
    """Keep *name* in a database that is up to date.

    Raises `ConfigError` if the database belongs to another server, and `StorageUnavailable`.
    """
    store = SqlVisibilityStore(database)
    kept = await store.of(KEPT_UNDER)
    if kept is None:
        async with database.read() as connection:
            await connection.run_sync(check_server_name, name)
        kept = await store.begin(
            KEPT_UNDER, name.encode()
        )  # of another process, if that came first
    _check(kept.decode(), name)


def check_server_name(connection: Connection, name: ServerName) -> None:
    """Raise `ConfigError` if the database belongs to another server; an empty one does not."""
    kept = _name_in(connection)
    if kept is not None:
        _check(kept, name)


def _check(kept: str, name: ServerName) -> None:
    if kept != name:
        raise ConfigError(
            f"server_name: the database belongs to {kept}, and is of no use to {name};"
            " put the name back, or use another database"
        )


def _name_in(connection: Connection) -> str | None:
    tables = inspect(connection).get_table_names()
    if visibility.name in tables:
        kept: str | None = connection.execute(_KEPT).scalar_one_or_none()
        if kept is not None:
            return kept
    if users.name in tables:
        user_id: str | None = connection.execute(_SOME_USER).scalar_one_or_none()
        if user_id is not None:
            return server_of(UserId(user_id))
    return None

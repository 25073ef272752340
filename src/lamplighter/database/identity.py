"""A database belongs to one server: to its name, and to the keys by which other servers know it.

User IDs, rooms and tokens are of the name. It is kept with the first start, and the public keys
with the first start with federation, and whenever they are others. A database from before they were
kept says the name by its accounts; it says no keys, but whether there were any.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, inspect, select

from lamplighter.database.engine import Database
from lamplighter.database.tables import destinations, presence, users, visibility
from lamplighter.database.visibility import KEYS_KEPT_UNDER, NAME_KEPT_UNDER, SqlVisibilityStore
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName, UserId, server_of

__all__ = [
    "KnownKeys",
    "begin_keys",
    "check_server_name",
    "keep_keys",
    "keep_server_name",
    "known_keys",
]

_SOME_USER: Final = select(users.c.user_id).limit(1)
_SOME_SERVER: Final = select(destinations.c.server_name).limit(1)


class KnownKeys(msgspec.Struct, frozen=True):
    """What a database says of the keys by which other servers know this server."""

    #: The public keys, in base64, by key ID; none where none are kept.
    public: Mapping[str, str] = {}
    #: Whether the server has had to do with other servers, with whatever key.
    is_in_use: bool = False


class _Content(msgspec.Struct):
    """How the keys are kept. A node of a version that keeps none reads it as a viewer's nothing."""

    keys: dict[str, str]


async def keep_server_name(database: Database, name: ServerName) -> None:
    """Keep *name* in a database that is up to date.

    Raises `ConfigError` if the database belongs to another server, and `StorageUnavailable`.
    """
    store = SqlVisibilityStore(database)
    kept = await store.of(NAME_KEPT_UNDER)
    if kept is None:
        async with database.read() as connection:
            await connection.run_sync(check_server_name, name)
        # Of another process, if that came first.
        kept = await store.begin(NAME_KEPT_UNDER, name.encode())
    _check(kept.decode(), name)


async def begin_keys(database: Database, public: Mapping[str, str]) -> Mapping[str, str]:
    """Keep the *public* keys, unless there are kept ones; return what is kept.

    Raises `StorageUnavailable`.
    """
    return _keys_in(await SqlVisibilityStore(database).begin(KEYS_KEPT_UNDER, _kept_keys(public)))


async def keep_keys(database: Database, public: Mapping[str, str]) -> None:
    """Keep the *public* keys instead of those before; raise `StorageUnavailable`."""
    store = SqlVisibilityStore(database)
    kept = await store.of(KEYS_KEPT_UNDER)
    if kept is None or _keys_in(kept) != public:
        content = _kept_keys(public)
        await store.update((KEYS_KEPT_UNDER,), lambda _viewer, _kept: content)


def known_keys(connection: Connection, name: ServerName) -> KnownKeys:
    """Return what the database of the server of that *name* says of its keys."""
    tables = inspect(connection).get_table_names()
    if visibility.name in tables and (kept := _kept(connection, KEYS_KEPT_UNDER)) is not None:
        return KnownKeys(_keys_in(kept.encode()), is_in_use=True)
    theirs = ~presence.c.user_id.endswith(f":{name}", autoescape=True)
    asked = {presence.name: select(presence.c.user_id).where(theirs).limit(1)}
    asked[destinations.name] = _SOME_SERVER
    found = (connection.execute(asked[it]).first() for it in asked if it in tables)
    return KnownKeys({}, is_in_use=any(it is not None for it in found))


def _kept_keys(public: Mapping[str, str]) -> bytes:
    return msgspec.json.encode(_Content(dict(public)))


def _keys_in(content: bytes) -> Mapping[str, str]:
    return msgspec.json.decode(content, type=_Content).keys


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
    if visibility.name in tables and (kept := _kept(connection, NAME_KEPT_UNDER)) is not None:
        return kept
    if users.name in tables:
        user_id: str | None = connection.execute(_SOME_USER).scalar_one_or_none()
        if user_id is not None:
            return server_of(UserId(user_id))
    return None


def _kept(connection: Connection, viewer: UserId) -> str | None:
    wanted = select(visibility.c.content).where(visibility.c.viewer == viewer)
    kept: str | None = connection.execute(wanted).scalar_one_or_none()
    return kept

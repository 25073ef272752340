"""A database belongs to one server: to its name, and to the keys by which others know it."""

import sqlite3
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from lamplighter.database.engine import Database
from lamplighter.database.identity import (
    KnownKeys,
    begin_keys,
    keep_keys,
    keep_server_name,
    known_keys,
)
from lamplighter.database.migrate import check_file, look_into
from lamplighter.database.tables import destinations, presence, users, visibility
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.delivery.endings import Endings
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName, UserId
from lamplighter.routing.visibility import ModuleInterests
from lamplighter.service.visibility_memory import VisibilityMemory

HERE, OTHER = ServerName("demo"), ServerName("other.org")
REFUSAL = (
    "server_name: the database belongs to demo, and is of no use to other.org; put the name back,"
    " or use another database"
)


async def test_the_first_start(database: Database) -> None:
    """The name of the first start is kept: with another one, a server does not use the database."""
    for _ in range(2):
        await keep_server_name(database, HERE)
    with pytest.raises(ConfigError) as raised:
        await keep_server_name(database, OTHER)
    assert str(raised.value) == REFUSAL
    assert await SqlVisibilityStore(database).load() == {}


async def test_a_database_from_before(database: Database) -> None:
    """A database that keeps no name yet belongs to the server of its accounts."""
    async with database.write() as connection:
        alice = {"user_id": "@alice:demo", "created_ts": 1, "is_admin": False}
        await connection.execute(insert(users), alice | {"is_deactivated": False})
    with pytest.raises(ConfigError) as raised:
        await keep_server_name(database, OTHER)
    assert str(raised.value) == REFUSAL
    await keep_server_name(database, HERE)


async def test_a_file_that_nobody_uses(file_database: Database, tmp_path: Path) -> None:
    """A check before the start says the same; a file without tables belongs to nobody."""
    await keep_server_name(file_database, HERE)
    check_file(tmp_path / "lamplighter.db", HERE)
    with pytest.raises(ConfigError) as raised:
        check_file(tmp_path / "lamplighter.db", OTHER)
    assert str(raised.value) == REFUSAL
    sqlite3.connect(tmp_path / "empty.db").close()
    check_file(tmp_path / "empty.db", OTHER)


async def known(database: Database) -> KnownKeys:
    """Return what the database says of the keys of its server."""
    async with database.read() as connection:
        return await connection.run_sync(known_keys, HERE)


async def test_keys(database: Database) -> None:
    """The first keys are kept, until others take their place; they are nothing of a viewer."""
    assert await known(database) == KnownKeys()
    assert await begin_keys(database, {"ed25519:a": "A"}) == {"ed25519:a": "A"}
    assert await begin_keys(database, {"ed25519:b": "B"}) == {"ed25519:a": "A"}
    assert await known(database) == KnownKeys({"ed25519:a": "A"}, is_in_use=True)
    for _ in range(2):
        await keep_keys(database, {"ed25519:b": "B"})
        assert await known(database) == KnownKeys({"ed25519:b": "B"}, is_in_use=True)
    assert await SqlVisibilityStore(database).load() == {}


async def test_keys_for_nodes_of_the_version_before(database: Database) -> None:
    """A node that takes what is kept for that of a viewer finds that nobody is visible."""
    await keep_keys(database, {"ed25519:a": "A"})
    async with database.write() as connection:
        [row] = (await connection.execute(select(visibility))).all()
        await connection.execute(delete(visibility))
        await connection.execute(insert(visibility), {"viewer": "@v:demo", "content": row.content})
    interests, endings = ModuleInterests(), Endings()
    await VisibilityMemory(SqlVisibilityStore(database), endings, interests).restore()
    assert not interests.remembers(UserId("@v:demo"))
    assert endings.of(UserId("@v:demo")) == {}


async def test_in_use_before_keys_were_kept(database: Database) -> None:
    """A database from before says that its server has had to do with others by what is of them."""
    user = {"word": "offline", "state": "offline", "last_active_ts": 1, "position": 1}
    user |= dict.fromkeys(("last_federation_update_ts", "last_user_sync_ts"), 1)
    user |= {"status_msg": None, "currently_active": False}
    for table, row, is_in_use in (
        (presence, user | {"user_id": "@alice:demo"}, False),
        (presence, user | {"user_id": "@dora:far.demo"}, True),
        (destinations, {"server_name": "far", "failures": 1, "retry_at": 1}, True),
    ):
        async with database.write() as connection:
            await connection.execute(insert(table), row)
        assert await known(database) == KnownKeys({}, is_in_use=is_in_use)
        async with database.write() as connection:
            await connection.execute(delete(table))


def test_no_database(tmp_path: Path) -> None:
    """Without a file, or tables in it, nothing is known."""
    path = tmp_path / "lamplighter.db"
    look = partial(known_keys, name=HERE)
    assert look_into(path, look) is None
    sqlite3.connect(path).close()
    assert look_into(path, look) == KnownKeys()

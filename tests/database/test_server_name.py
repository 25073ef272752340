"""A database belongs to one server name."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert

from lamplighter.database.engine import Database
from lamplighter.database.migrate import check_file
from lamplighter.database.server_name import keep_server_name
from lamplighter.database.tables import users
from lamplighter.database.visibility import SqlVisibilityStore
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName

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

"""Migrations: what they make, and that nothing is lost on the way."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, select

from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.database.sqlite import open_file
from lamplighter.database.tables import metadata, rooms, users
from lamplighter.errors import ConfigError
from tests.database.trouble import forbid_writing


def differences(connection: Connection) -> list[object]:
    """Return how the database differs from `tables.py`."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


async def test_migrations_make_the_tables(database: Database) -> None:
    """A migrated database has the tables of `tables.py`, column by column."""
    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_nothing_is_lost(tmp_path: Path) -> None:
    """Migrating a database that is in use keeps what is in it."""
    path = tmp_path / "in use.db"
    room = {"room_id": "!a:lamp.test", "last_position": 7, "receipts_position": None}
    alice = {"user_id": "@alice:lamp.test", "created_ts": 1, "is_admin": True}
    alice |= {"is_deactivated": False}
    first = open_file(path)
    await migrate(first)
    async with first.write() as connection:
        await connection.execute(insert(rooms).values(room))
        await connection.execute(insert(users).values(alice))
    await first.close()
    second = open_file(path)
    await migrate(second)
    async with second.read() as connection:
        assert dict((await connection.execute(select(rooms))).mappings().one()) == room
        found = dict((await connection.execute(select(users))).mappings().one())
    assert found == alice | {"password_hash": None, "displayname": None, "avatar_url": None}
    await second.close()


async def test_a_current_database_is_not_written(file_database: Database) -> None:
    """Migrating a database that is up to date works on a read-only disk."""
    await forbid_writing(file_database)
    await migrate(file_database)


async def test_a_newer_database(database: Database) -> None:
    """A database of a newer version is refused with its revision, and not touched."""
    async with database.write() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="'9999'"):
        await migrate(database)
    async with database.read() as connection:
        version = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert version.scalar_one() == "9999"


async def test_paths_with_percent_signs(tmp_path: Path) -> None:
    """A path may hold what means something in URLs and in Alembic's options."""
    database = open_file(tmp_path / "100%d ?#.db")
    await migrate(database)
    await database.close()
    assert (tmp_path / "100%d ?#.db").exists()

"""Brings a database to the tables of this version.

Each step is a file of `migrations/versions`, written for Alembic. To add a step, change `tables.py`
and write the next file by hand; a test compares the tables that both make, on each engine.
"""

import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, StaticPool, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError

from lamplighter.database.engine import Database
from lamplighter.database.identity import check_server_name
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName

__all__ = [
    "check_file",
    "check_server",
    "empty_database",
    "is_up_to_date",
    "look_into",
    "migrate",
    "upgrade",
]

T = TypeVar("T")

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_FACTS: Final = text(
    "SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_schema(),"
    " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
)
#: The advisory lock of a process that migrates.
_MIGRATING: Final = int.from_bytes(b"migrates")


async def migrate(database: Database) -> None:
    """Take every step that *database* lacks; a database that is up to date is only read.

    Raises:
        ConfigError: the database was made by a newer Lamplighter.
        StorageUnavailable: a step is needed and cannot be written.
    """
    if not await is_up_to_date(database):
        async with database.write() as connection:
            await connection.run_sync(upgrade)


async def is_up_to_date(database: Database) -> bool:
    """Tell whether *database* lacks no step; raise what `migrate` does."""
    async with database.read() as connection:
        return await connection.run_sync(_is_up_to_date)


def check_file(path: Path, name: ServerName) -> None:
    """Raise `ConfigError` if the file *path* exists and is no database that can be migrated.

    It is of no use either if it belongs to a server with another *name*.

    The file is only read, and no other file is made.
    """

    def check(connection: Connection) -> None:
        _is_up_to_date(connection)
        check_server_name(connection, name)

    look_into(path, check)


def look_into(path: Path, look: Callable[[Connection], T]) -> T | None:
    """Return what *look* finds in the SQLite database *path*, which is only read; None without one.

    Raises `ConfigError` for a file that is no database.
    """
    if not path.exists():
        return None
    # Without a log beside the file, nobody is writing it, and SQLite is kept from making a log.
    quiet = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    url = f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro{quiet}&uri=true"
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return look(connection)
    except DBAPIError as error:
        raise ConfigError(f"data_dir: {path} cannot be used: {error.orig}") from None
    finally:
        engine.dispose()


async def check_server(database: Database, name: ServerName) -> None:
    """Raise `ConfigError` if the server of that *name* could not use this PostgreSQL database.

    Nothing is written.
    """
    up_to_date = await is_up_to_date(database)
    async with database.write() as connection:
        (encoding, is_standby, schema, may_create) = (await connection.execute(_FACTS)).one()
    problem = None
    if encoding != "UTF8":
        problem = f"the encoding of the database is {encoding}; create one with ENCODING 'UTF8'"
    elif is_standby:
        problem = "this PostgreSQL is a standby, which cannot be written"
    elif not up_to_date and not may_create:
        problem = f"the user may not create tables in the schema {schema}; make it the owner"
    if problem is not None:
        raise ConfigError(f"database: {problem}")
    async with database.read() as connection:
        await connection.run_sync(check_server_name, name)


def _is_up_to_date(connection: Connection) -> bool:
    script = _script()
    present = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if present is not None and present not in known:
        key = "database" if connection.dialect.name == "postgresql" else "data_dir"
        raise ConfigError(
            f"{key}: the database is at revision {present!r}, which this version does not know;"
            " use the newer Lamplighter that wrote it"
        )
    return present == script.get_current_head()


def upgrade(connection: Connection) -> None:
    """Take every step that the database lacks, within a transaction of the caller.

    Raises `ConfigError` for the database of a newer Lamplighter.
    """
    if connection.dialect.name == "postgresql":
        # Two processes may come at once: a server, and a command such as `register-user`.
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
    if _is_up_to_date(connection):
        return
    script = _script()
    context = MigrationContext.configure(connection)
    present = context.get_current_revision() or "base"
    with Operations.context(context):
        for step in reversed(list(script.iterate_revisions("head", present))):
            step.module.upgrade()
    context.stamp(script, "head")


@cache
def empty_database() -> bytes:
    """Return the content of an empty SQLite database that has taken every step.

    The steps take as long as all else that a server in memory does to start: they are taken once.
    """
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            upgrade(connection)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)  # the driver of this engine
            return driver.serialize()
    finally:
        engine.dispose()


@cache
def _script() -> ScriptDirectory:
    """Return the steps, which are read once."""
    return ScriptDirectory(str(_MIGRATIONS))

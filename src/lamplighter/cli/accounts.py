"""The accounts in the database of a configuration, for commands that need no server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lamplighter.app import Storage
from lamplighter.clock import SystemClock
from lamplighter.config import Config
from lamplighter.database.migrate import migrate
from lamplighter.homeserver.sql import SqlDirectory

__all__ = ["stored_accounts"]


@asynccontextmanager
async def stored_accounts(config: Config, *, alone: bool) -> AsyncIterator[SqlDirectory]:
    """Give the directory in the database, which is closed when the block ends.

    With *alone*, raise `DatabaseInUse` where a server runs on the same PostgreSQL database.
    """
    database = Storage.of(config, alone=alone).database
    try:
        await migrate(database)
        directory = SqlDirectory(database, config.server_name, SystemClock())
        await directory.start()
        yield directory
    finally:
        await database.close()

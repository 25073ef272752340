"""What the contract suites stand on: one fixture per port, over every adapter."""

from collections.abc import AsyncIterator, Callable

import pytest

from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName
from tests.contract.directories import SERVER, Recorder, Town


@pytest.fixture
async def town(open_database: Callable[[], Database]) -> AsyncIterator[Town]:
    """A directory with nobody in it, its clock, and a listener that writes everything down."""
    database = open_database()
    await migrate(database)
    clock, recorder = FakeClock(), Recorder()
    sql = SqlDirectory(database, ServerName(SERVER), clock)
    await sql.start()
    directory: SqlDirectory = sql
    directory.listen(recorder)
    yield Town(directory, clock, recorder)
    await database.close()

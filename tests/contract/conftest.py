"""What the contract suites stand on: one fixture per port, over every adapter."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lamplighter.database.engine import Database, open_file, open_memory
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName
from tests.contract.directories import SERVER, Recorder, Town

OpenDatabase = Callable[[Path], Database]


def _memory(path: Path) -> Database:
    return open_memory()


@pytest.fixture(params=[_memory, open_file], ids=["sqlite-memory", "sqlite-file"])
def open_database(request: pytest.FixtureRequest) -> OpenDatabase:
    """How the database of this run is opened."""
    opening: OpenDatabase = request.param
    return opening


@pytest.fixture
async def town(open_database: OpenDatabase, tmp_path: Path) -> AsyncIterator[Town]:
    """A directory with nobody in it, its clock, and a listener that writes everything down."""
    database = open_database(tmp_path / "lamplighter.db")
    await migrate(database)
    clock, recorder = FakeClock(), Recorder()
    sql = SqlDirectory(database, ServerName(SERVER), clock)
    await sql.start()
    directory: SqlDirectory = sql
    directory.listen(recorder)
    yield Town(directory, clock, recorder)
    await database.close()

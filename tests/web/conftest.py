"""A server in memory for the tests of the client API."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.database.engine import open_memory
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.directory.sql import SqlDirectory
from tests.web.world import SERVER, Person, World


@pytest.fixture
def clock() -> FakeClock:
    """The clock of all parts."""
    return FakeClock()


@pytest.fixture
async def directory(clock: FakeClock) -> AsyncIterator[SqlDirectory]:
    """An empty directory."""
    database = open_memory()
    await migrate(database)
    directory = SqlDirectory(database, SERVER, clock)
    await directory.start()
    yield directory
    await database.close()


@pytest.fixture
async def world(directory: SqlDirectory, clock: FakeClock) -> World:
    """A server at which anybody may register."""
    return World(directory, clock)


@pytest.fixture
async def closed_world(directory: SqlDirectory, clock: FakeClock) -> World:
    """A server at which nobody may register."""
    return World(directory, clock, registration_open=False)


@pytest.fixture
async def alice(world: World) -> Person:
    """A user without a password."""
    return await world.person("alice")


@pytest.fixture
async def bob(world: World) -> Person:
    """Another one."""
    return await world.person("bob")

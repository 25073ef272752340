"""A directory in memory, the client API over it, and a whole server in memory."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.devtools.client import Client
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer, running_server
from lamplighter.homeserver.sql import SqlDirectory
from tests.homeserver.world import SERVER, Person, World


@pytest.fixture
def clock() -> FakeClock:
    """The clock of all parts."""
    return FakeClock()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """The database of the directory."""
    database = open_memory()
    yield database
    await database.close()


@pytest.fixture
async def directory(database: Database, clock: FakeClock) -> SqlDirectory:
    """An empty directory."""
    directory = SqlDirectory(database, SERVER, clock)
    await directory.start()
    return directory


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


@pytest.fixture
def config() -> str:
    """The server's configuration, apart from its name; tests give their own."""
    return ""


@pytest.fixture
async def server(config: str) -> AsyncIterator[InMemoryServer]:
    """A server without modules."""
    async with running_server(config=config) as server:
        yield server


@pytest.fixture
async def dora(server: InMemoryServer) -> Client:
    """Somebody at the device PHONE."""
    return await server.register("dora", device="PHONE")

"""A server, and people at it, for stories on the fake clock."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer, running_server


@pytest.fixture
def config() -> str:
    """The server's configuration without its name; tests give their own."""
    return ""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def on_each_engine(request: pytest.FixtureRequest) -> str:
    """The configuration of a server that keeps things: on each engine once."""
    if request.param == "sqlite":
        return ""
    return f"database: {request.getfixturevalue('postgres_url')}\n"


@pytest.fixture
def data_dir() -> Path | None:
    """The server's data directory; None keeps everything in memory. Tests that restart give one."""
    return None


@pytest.fixture
async def server(config: str, data_dir: Path | None) -> AsyncIterator[InMemoryServer]:
    """A server without modules."""
    async with running_server(config=config, data_dir=data_dir) as server:
        yield server


@pytest.fixture
async def alice(server: InMemoryServer) -> Client:
    """The viewer in most stories."""
    return await server.register("alice")


@pytest.fixture
async def bob(server: InMemoryServer) -> Client:
    """The user who is viewed in most stories."""
    return await server.register("bob")


@pytest.fixture
async def charlie(server: InMemoryServer) -> Client:
    """Somebody else."""
    return await server.register("charlie")


@pytest.fixture
async def room(server: InMemoryServer, alice: Client, bob: Client) -> str:
    """A room that alice and bob share."""
    return await server.room(alice, bob)

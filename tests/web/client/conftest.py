"""A whole server in memory for the endpoints of presence."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer, running_server


@pytest.fixture
def config() -> str:
    """What the server's configuration says beside its name; tests give their own."""
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

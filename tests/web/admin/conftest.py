"""A whole server in memory, and its operator."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.devtools.server import InMemoryServer, running_server
from tests.web.admin.operator import ADMIN_CONFIG, Operator


@pytest.fixture
async def server() -> AsyncIterator[InMemoryServer]:
    """A server whose admin API is open to the operator."""
    async with running_server(config=ADMIN_CONFIG) as server:
        yield server


@pytest.fixture
def operator(server: InMemoryServer) -> Operator:
    """The operator, with the token."""
    return Operator(server.http)

"""A server of its own for every test that asks for one."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.interop.chromium import chromium
from tests.interop.processes import ServerProcess, reserved_port

#: Makes a server that does not run yet; the text goes into its configuration.
MakeServer = Callable[..., ServerProcess]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """A function that makes a server; no server outlives the test."""
    with reserved_port() as port:
        server: ServerProcess | None = None

        def make(config: str = "") -> ServerProcess:
            nonlocal server
            server = ServerProcess(tmp_path, port, config)
            return server

        yield make
        if server is not None:
            server.kill_if_running()


@pytest.fixture
def server(make_server: MakeServer) -> ServerProcess:
    """A server that has just been started."""
    server = make_server()
    server.start()
    return server


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real browser, which starts when the first test asks for it."""
    with chromium(tmp_path_factory.mktemp("browser")) as address:
        yield address


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """As many connections as anybody wants."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session

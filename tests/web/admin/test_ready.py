"""GET /ready."""

from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.server import InMemoryServer
from lamplighter.errors import StorageUnavailable
from lamplighter.web.admin.ready import Ready
from lamplighter.web.application import build_application
from tests.web.clients import client_of


class Storage:
    """A database that may fail."""

    def __init__(self) -> None:
        self.reads = self.writes = True

    async def look(self) -> None:
        if not self.reads:
            raise StorageUnavailable("the disk is gone")


async def status(client: HttpClient) -> tuple[int, object]:
    """Return status and content of the answer."""
    response = await client.request("GET", "/ready")
    return response.status, response.json


async def test_starting_ready_and_stopping() -> None:
    """The answer is 200 only from the opening of the addresses to the stop."""
    storage = Storage()
    ready = Ready(lambda: storage.writes, storage.look)
    client = client_of(build_application(ready.routes()))
    assert await status(client) == (503, {"status": "starting"})
    ready.opened()
    assert await status(client) == (200, {"status": "ready"})
    ready.closing()
    assert await status(client) == (503, {"status": "stopping"})


async def test_the_database() -> None:
    """While the database cannot be read or written, the answer is 503."""
    storage = Storage()
    ready = Ready(lambda: storage.writes, storage.look)
    ready.opened()
    client = client_of(build_application(ready.routes()))
    for reads, writes in ((False, True), (True, False)):
        storage.reads, storage.writes = reads, writes
        assert await status(client) == (503, {"status": "storage unavailable"})
    storage.writes = True
    assert await status(client) == (200, {"status": "ready"})


async def test_a_whole_server(server: InMemoryServer) -> None:
    """A running server is ready, until it begins to stop."""
    assert await status(server.http) == (200, {"status": "ready"})
    server.lamplighter.answer_polls()
    assert await status(server.http) == (503, {"status": "stopping"})

"""GET /health and GET /ready."""

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.server import InMemoryServer
from lamplighter.errors import StorageUnavailable
from lamplighter.web.admin.health import Health, Ready
from lamplighter.web.application import Application
from tests.app.nodes import running_node
from tests.cluster.memory_log import LogServer, Way
from tests.web.clients import client_of

UNAVAILABLE = (503, {"status": "storage unavailable"})


class Storage:
    """A database that may fail, and what the two endpoints say of it."""

    def __init__(self) -> None:
        self.reads = self.writes = True
        self.homeserver_problem: str | None = None
        self.node_problem: str | None = None
        self.ready = Ready(
            lambda: self.writes,
            self.look,
            lambda: self.homeserver_problem,
            lambda: self.node_problem,
        )
        routes = [*Health(lambda: self.writes).routes(), *self.ready.routes()]
        self.http = client_of(Application(routes))

    async def look(self) -> None:
        if not self.reads:
            raise StorageUnavailable("the disk is gone")


async def answer(http: HttpClient, path: str) -> tuple[int, object]:
    """Return status and content of the answer, which needs no token."""
    response = await http.request("GET", path)
    return response.status, response.json


async def test_the_database() -> None:
    """While the database cannot be written both answer 503; without reads, only `/ready`."""
    storage = Storage()
    storage.ready.opened()
    answers = {}
    for reads, writes in ((True, True), (False, True), (True, False), (True, True)):
        storage.reads, storage.writes = reads, writes
        both = [await answer(storage.http, path) for path in ("/health", "/ready")]
        answers[reads, writes] = both
    well = [(200, {"status": "ok"}), (200, {"status": "ready"})]
    assert answers == {
        (True, True): well,
        (False, True): [well[0], UNAVAILABLE],
        (True, False): [UNAVAILABLE] * 2,
    }


async def test_the_database_of_all_nodes() -> None:
    """While the database of a cluster is away a node stays ready, for others have no other one; a
    problem of its own counts.
    """
    ready = Ready(lambda: False, Storage().look, lambda: None, lambda: None, shares_storage=True)
    alone = Ready(lambda: False, Storage().look, lambda: None, lambda: "alone", shares_storage=True)
    answers = []
    for it in (ready, alone):
        it.opened()
        answers.append(await answer(client_of(Application(it.routes())), "/ready"))
    warning = {"warning": "storage unavailable"}
    assert answers == [(200, {"status": "ready", **warning}), (503, {"status": "alone", **warning})]


async def test_the_homeserver_behind() -> None:
    """While a homeserver behind this server does not know it, the server is ready, and warns."""
    storage = Storage()
    storage.ready.opened()
    storage.homeserver_problem = "the homeserver does not know the registration"
    assert await answer(storage.http, "/health") == (200, {"status": "ok"})
    warning = {"warning": "homeserver not set up"}
    assert await answer(storage.http, "/ready") == (200, {"status": "ready", **warning})
    storage.node_problem = "no lease"
    assert await answer(storage.http, "/ready") == (503, {"status": "no lease", **warning})


async def test_the_node() -> None:
    """A node of a cluster that cannot serve is well, and not ready; it says why."""
    storage = Storage()
    storage.ready.opened()
    storage.node_problem = "no lease"
    assert await answer(storage.http, "/health") == (200, {"status": "ok"})
    assert await answer(storage.http, "/ready") == (503, {"status": "no lease"})


async def test_a_node_that_is_cut_off() -> None:
    """A node that does not reach the log is not ready, until it does again."""
    log_server = LogServer(FakeClock())
    async with running_node(log_server=log_server) as node:
        answers = [await answer(node.http, "/ready")]
        for way in (Way.CLOSED, Way.OPEN):
            log_server.way = way
            await node.advance(seconds=5)
            answers.append(await answer(node.http, "/ready"))
    assert answers == [
        (200, {"status": "ready"}),
        (503, {"status": "no lease"}),
        (200, {"status": "ready"}),
    ]


async def test_starting_ready_and_stopping() -> None:
    """`/ready` answers 200 only from the opening of the addresses to the stop."""
    storage = Storage()
    answers = [await answer(storage.http, "/ready")]
    for step in (storage.ready.opened, storage.ready.closing):
        step()
        answers.append(await answer(storage.http, "/ready"))
    assert answers == [
        (503, {"status": "starting"}),
        (200, {"status": "ready"}),
        (503, {"status": "stopping"}),
    ]


async def test_a_whole_server(server: InMemoryServer) -> None:
    """A running server is ready, until it begins to stop."""
    assert await answer(server.http, "/ready") == (200, {"status": "ready"})
    server.lamplighter.answer_polls()
    assert await answer(server.http, "/ready") == (503, {"status": "stopping"})

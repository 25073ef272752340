"""The fixtures of the contract suites: one for each port, over every adapter."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from lamplighter.config import parse_config_text
from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.builtin import BuiltInHomeserver
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.service.background import Background
from tests.contract.directories import SERVER, Recorder, Subject, subject_in
from tests.contract.fake_homeserver import FakeHomeserver
from tests.contract.homeservers import AnyHomeserver, Behind, BuiltIn, Fake
from tests.contract.logs import AnyLogServer, InMemory, OnValkey
from tests.contract.nodes import nodes_on
from tests.engines import ENGINES, databases_of_nodes, opening
from tests.valkey import ValkeyServer

Place: TypeAlias = Callable[[], Database] | list[Database] | Literal["fake", "behind"]


@pytest.fixture
async def tested(open_database: Callable[[], Database]) -> AsyncIterator[Subject]:
    """A directory with nobody in it, its clock, and a listener that writes everything down."""
    async with subject_in(open_database()) as tested:
        yield tested


@pytest.fixture
def directory(tested: Subject) -> SqlDirectory:
    """The directory that is tested."""
    return tested.directory


@pytest.fixture
async def people(tested: Subject) -> None:
    """Alice, bob and charlie live in the directory."""
    await tested.users("alice", "bob", "charlie")


@pytest.fixture(
    params=[
        *ENGINES,
        "two nodes in memory",
        pytest.param("two nodes on postgresql", marks=pytest.mark.processes),
        "fake",
        "behind",
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """What opens the database of the built-in homeserver, or the databases of its nodes, or
    another homeserver.
    """
    if request.param in ("fake", "behind"):
        other: Literal["fake", "behind"] = request.param
        return other
    if request.param == "two nodes in memory":
        database = open_memory()
        return [database, database]
    if request.param == "two nodes on postgresql":
        return databases_of_nodes(request)
    # Not in a fixture that awaits: the first test of all that asks for PostgreSQL starts it.
    return opening(request.param, request, tmp_path)


@pytest.fixture
async def any_homeserver(place: Place, tmp_path: Path) -> AsyncIterator[AnyHomeserver]:
    """A homeserver with nobody in it: the built-in one on each engine, one behind, and a fake."""
    recorder, clock = Recorder(), FakeClock()
    if place == "behind":
        behind = await Behind.begin_in(tmp_path, recorder)
        yield behind
        await behind.stop()
        return
    if place == "fake":
        fake = FakeHomeserver()
        fake.listen(recorder)
        yield Fake(fake, recorder, fake)
        return
    if isinstance(place, list):
        async with nodes_on(place, clock) as cluster:
            # What is asked, and what is told, is asked of the last node.
            last = cluster.nodes[-1]
            directories = [it.directory for it in cluster.nodes]
            yield BuiltIn(last.homeserver, last.recorder, directories)
        return
    database = place()
    await migrate(database)
    config = parse_config_text(f"server_name: {SERVER}\n", Path("x.yaml"))
    homeserver = BuiltInHomeserver(config, clock, database, Background(clock))
    await homeserver.start()
    homeserver.listen(recorder)
    yield BuiltIn(homeserver, recorder, [homeserver.directory])
    await database.close()


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.processes)])
def log_place(request: pytest.FixtureRequest) -> InMemory | ValkeyServer:
    """Where the log is that is tested."""
    # Not in a fixture that awaits: the first test of all that asks for Valkey starts it.
    if request.param == "memory":
        return InMemory()
    server: ValkeyServer = request.getfixturevalue("valkey")
    return server


@pytest.fixture
async def server(log_place: InMemory | ValkeyServer) -> AsyncIterator[AnyLogServer]:
    """The server of a log without data."""
    if isinstance(log_place, InMemory):
        yield log_place
        return
    on_valkey = OnValkey(log_place)
    yield on_valkey
    await on_valkey.close()

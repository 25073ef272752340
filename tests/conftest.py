"""What holds for all tests: nothing in them depends on how fast the machine is."""

import gc
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from lamplighter.database.engine import Database
from lamplighter.database.memory import open_memory
from lamplighter.database.migrate import migrate
from tests.effort import EXAMPLES
from tests.engines import ENGINES, opening
from tests.postgresql import PostgresServer, programs
from tests.valkey import ValkeyServer, valkey_programs

settings.register_profile(
    "lamplighter",
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Whoever works on the code gets new examples each time; a gate judges by the same ones.
    derandomize="CI" in os.environ,
)
settings.load_profile("lamplighter")


#: The functions of Python that start a process.
STARTS: Final[list[tuple[Any, str]]] = [
    (os, "fork"),
    (os, "forkpty"),
    (os, "posix_spawn"),
    (os, "posix_spawnp"),
    (subprocess.Popen, "__init__"),
]
#: Folders whose tests are about other programs: browsers, clients, proxies.
WITH_PROGRAMS: Final = frozenset({"deploy", "federation_interop", "interop"})
#: The fixtures that are servers.
SERVERS: Final = frozenset({"postgres", "valkey"})

#: The test that runs and may start no process, if there is one.
_in_memory: list[str] = []


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is about other programs, or needs one: `make check` leaves it out."""
    needs = SERVERS.intersection(getattr(item, "fixturenames", ()))
    if item.path.parent.name in WITH_PROGRAMS or needs:
        item.add_marker(pytest.mark.processes)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that may take minutes, so that no core waits for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over all that was imported and collected: it lasts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _unless_forbidden(start: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(start)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _in_memory:
            raise RuntimeError(f"{_in_memory[0]} starts a process, and is not marked `processes`")
        return start(*args, **kwargs)

    return guarded


# An audit hook would do the same, and make all tests slower: it is told of each `id()`.
for owner, name in STARTS:
    setattr(owner, name, _unless_forbidden(getattr(owner, name)))


@pytest.fixture(autouse=True)
def only_marked_tests_start_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that starts a process, unless it is marked."""
    if request.node.get_closest_marker("processes") is None:
        _in_memory.append(request.node.nodeid)
    yield
    _in_memory.clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, which starts when the first test asks for it."""
    installed = programs()
    if installed is None:
        pytest.skip("no wheel with PostgreSQL for this platform")
    server = PostgresServer(installed)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A new database in PostgreSQL, with the tables of this version."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey server, which starts when the first test asks for it."""
    installed = valkey_programs()
    if installed is None:
        pytest.skip("no wheel with Valkey for this platform")
    server = ValkeyServer(installed)
    yield server
    server.remove()


@pytest.fixture(params=ENGINES)
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """What opens the database of this test: on each engine once."""
    return opening(request.param, request, tmp_path)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A new, migrated database in memory."""
    opened = open_memory()
    await migrate(opened)
    yield opened
    await opened.close()

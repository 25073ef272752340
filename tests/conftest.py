"""What holds for all tests: nothing in them depends on how fast the machine is."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lamplighter.database.engine import Database
from tests.engines import ENGINES, opening
from tests.postgresql import PostgresServer, programs

settings.register_profile(
    "lamplighter",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # Whoever works on the code gets new examples each time; a gate judges by the same ones.
    derandomize="CI" in os.environ,
)
settings.load_profile("lamplighter")


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


@pytest.fixture(params=ENGINES)
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """What opens the database of this test: on each engine once."""
    return opening(request.param, request, tmp_path)

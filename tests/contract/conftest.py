"""What the contract suites stand on: one fixture per port, over every adapter."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.database.engine import Database
from lamplighter.database.migrate import migrate
from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.builtin import BuiltInHomeserver
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import ServerName
from lamplighter.service.background import Background
from tests.conftest import ENGINES, opening
from tests.contract.directories import SERVER, Recorder, Town
from tests.contract.fake_homeserver import FakeHomeserver
from tests.contract.homeservers import AnyHomeserver, BuiltIn, Fake


@pytest.fixture
async def town(open_database: Callable[[], Database]) -> AsyncIterator[Town]:
    """A directory with nobody in it, its clock, and a listener that writes everything down."""
    database = open_database()
    await migrate(database)
    clock, recorder = FakeClock(), Recorder()
    directory = SqlDirectory(database, ServerName(SERVER), clock)
    await directory.start()
    directory.listen(recorder)
    yield Town(directory, clock, recorder)
    await database.close()


@pytest.fixture(params=[*ENGINES, "fake"])
async def any_homeserver(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AnyHomeserver]:
    """A homeserver with nobody in it: the built-in one on each engine, and a fake."""
    recorder, clock = Recorder(), FakeClock()
    if request.param == "fake":
        fake = FakeHomeserver()
        fake.listen(recorder)
        yield Fake(fake, recorder, fake)
        return
    database = opening(request.param, request, tmp_path)()
    await migrate(database)
    config = parse_config_text(f"server_name: {SERVER}\n", Path("x.yaml"))
    homeserver = BuiltInHomeserver(config, clock, database, Background(clock))
    await homeserver.start()
    homeserver.listen(recorder)
    yield BuiltIn(homeserver, recorder, homeserver.directory)
    await database.close()

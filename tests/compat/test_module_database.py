"""The modules' database in a whole server: what a module has stored stays, on each engine."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer, running_server
from tests.compat.modules.busy_modules import Watcher


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def config(request: pytest.FixtureRequest) -> str:
    """The configuration of a server that stores its data: on each engine once."""
    if request.param == "sqlite":
        return ""
    return f"database: {request.getfixturevalue('postgres_url')}\n"


async def counted(server: InMemoryServer, bob: Client, status: str) -> int:
    """Have bob's presence announced once more; return how often the module has counted it."""
    await bob.set_status(status)
    await server.settled()
    watcher = server.module(Watcher)
    watcher.times.invalidate((bob.user_id,))
    count: int = await watcher.times(bob.user_id)
    return count


async def test_what_a_module_stores_stays(config: str, tmp_path: Path) -> None:
    """It stays over restarts of the server."""
    async with running_server([Watcher], config=config, data_dir=tmp_path / "data") as server:
        bob = await server.register("bob")
        counts = [await counted(server, bob, "online")]
        for status in ("unavailable", "offline"):
            await server.restart(bob)
            counts.append(await counted(server, bob, status))
    assert counts == [1, 2, 3]

"""People whose account is closed."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server keeps things."""
    return tmp_path / "data"


@pytest.fixture
def config(on_each_engine: str) -> str:
    """Nothing in these stories depends on the engine."""
    return on_each_engine


async def test_members_see_them_go(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """Room members are told that a deactivated user went offline, without the status message."""
    await bob.set_status("online", "busy bee")
    await alice.sync()
    await server.lamplighter.directory.deactivate(bob.user_id)
    await server.settled()
    await alice.sync()
    believed = alice.beliefs[bob.user_id]
    assert (believed["presence"], believed.get("status_msg")) == ("offline", None)

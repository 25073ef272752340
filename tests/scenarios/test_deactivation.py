"""People whose account is closed."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.server import InMemoryServer
from tests.routing.callbacks import turns


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
    """A deactivated user is offline, without the status message, and room members are told."""
    await bob.set_status("online", "busy bee")
    await alice.sync()
    await server.lamplighter.directory.deactivate(bob.user_id)
    await server.settled()
    state = server.presence_of(bob)
    assert (state.state, state.status_msg, state.currently_active) == ("offline", None, False)
    await alice.sync()
    believed = alice.beliefs[bob.user_id]
    assert (believed["presence"], believed.get("status_msg")) == ("offline", None)


async def test_a_poll_that_still_reads(server: InMemoryServer, bob: Client) -> None:
    """A poll that still reads the rooms half when its account ends is refused once it has read."""
    await bob.sync()
    await bob.send(await server.room(bob), "hello")
    poll = bob.begin_poll()
    while not server.lamplighter.core.feed.is_waiting(bob.user_id):
        await turns(1)
    listener = server.lamplighter.core.directory_events
    listener.devices_gone(bob.user_id, [bob.device_id])
    listener.user_deactivated(bob.user_id)
    await server.settled()
    assert poll.answered
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await poll.answer()

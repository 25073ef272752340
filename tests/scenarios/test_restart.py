"""What is left after a restart."""

from pathlib import Path

import pytest

from lamplighter.devtools.client import Client
from lamplighter.devtools.server import InMemoryServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


@pytest.fixture
def config(on_each_engine: str) -> str:
    """Nothing in these stories depends on the engine."""
    return on_each_engine


async def test_status_is_kept(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A restart keeps state, message, last activity and who may see them."""
    await bob.set_status("unavailable", "back soon")
    await server.advance(seconds=10)
    await server.restart(alice, bob)
    status = {"presence": "unavailable", "last_active_ago": 10_000, "status_msg": "back soon"}
    assert await alice.status_of(bob) == status
    assert (await alice.first_sync()).presence[bob.user_id] == status


async def test_restored_device_has_its_grace(server: InMemoryServer, bob: Client) -> None:
    """After a restart people stay as they were for the grace, and go if nobody comes back."""
    await bob.set_status("online", "hello")
    await server.restart(bob)
    await server.advance(milliseconds=29_999)
    assert server.presence_of(bob).state == "online"
    await server.advance(milliseconds=1)
    state = server.presence_of(bob)
    assert (state.state, state.status_msg) == ("offline", "hello")


async def test_client_that_comes_back(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """For others it is no news that the server was restarted and a client came back."""
    await server.advance(seconds=1)
    await bob.sync()
    await alice.sync()
    await server.restart(alice, bob)
    await bob.sync()
    assert (await alice.sync(set_presence="offline")).presence == {}
    assert server.presence_of(bob).state == "online"


async def test_offline_stays(server: InMemoryServer, bob: Client) -> None:
    """Who was offline is so after a restart, until a device speaks."""
    await bob.set_status("offline", "gone")
    await server.advance(minutes=1)
    await server.restart(bob)
    await server.advance(minutes=1)
    state = server.presence_of(bob)
    assert (state.state, state.status_msg) == ("offline", "gone")


async def test_word_of_a_module_stays(server: InMemoryServer, bob: Client) -> None:
    """What a module has set stays over a restart, and beyond the grace."""
    await server.api.set_presence_for_users({bob.user_id: ("online", "by a module")})
    await server.restart(bob)
    await server.advance(hours=1)
    state = server.presence_of(bob)
    assert (state.state, state.status_msg) == ("online", "by a module")


async def test_logging_out_after_a_restart(server: InMemoryServer, bob: Client) -> None:
    """Who logs out after a restart is offline at once, as before it."""
    await bob.sync()
    await server.restart(bob)
    await bob.sync()
    await bob.log_out()
    assert server.presence_of(bob).state == "offline"


async def test_polls_are_answered(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """Who polls during a restart is answered, and goes on with that token after it."""
    room = await server.room(alice, bob)
    await alice.sync()
    await server.advance(seconds=1)
    poll = await alice.polls(filter=f'{{"presence": {{"not_senders": ["{alice.user_id}"]}}}}')
    await server.restart(alice, bob)
    await poll.answer()
    await bob.set_status("unavailable", room)
    assert (await alice.sync()).presence[bob.user_id]["status_msg"] == room


async def test_token_that_may_know_more_than_was_saved(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client, room: str
) -> None:
    """A token from between the last saved change and the restart is answered in full.

    Had the server crashed, it might have told of a change that was lost with it.
    """
    await bob.set_status("offline", "old")
    await alice.sync(set_presence="offline")
    await charlie.join(room)
    await alice.sync(set_presence="offline")
    await server.restart(alice)
    answer = await alice.sync(set_presence="offline")
    assert bob.user_id in answer.presence

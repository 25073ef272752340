"""The presence that is left after a restart."""

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


async def test_who_does_not_come_back(
    server: InMemoryServer, alice: Client, bob: Client, charlie: Client
) -> None:
    """After a restart users stay as they were: with a device for the grace; offline, or as a module
    has set them, for good.
    """
    people = bob, alice, charlie
    await bob.set_status("online", "hello")
    await alice.set_status("offline", "gone")
    await server.api.set_presence_for_users({charlie.user_id: ("online", "by a module")})
    await server.restart(*people)
    shown = []
    for duration in ({"milliseconds": 29_999}, {"milliseconds": 1}, {"hours": 1}):
        await server.advance(**duration)
        shown.append([server.presence_of(it).state for it in people])
    later = ["offline", "offline", "online"]
    assert shown == [["online", "offline", "online"], later, later]
    messages = [server.presence_of(it).status_msg for it in people]
    assert messages == ["hello", "gone", "by a module"]


async def test_client_that_comes_back(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A restart after which a client comes back is no news for others."""
    await server.advance(seconds=1)
    await bob.sync()
    await alice.sync()
    await server.restart(alice, bob)
    await bob.sync()
    assert (await alice.sync(set_presence="offline")).presence == {}
    assert server.presence_of(bob).state == "online"


async def test_logging_out_after_a_restart(server: InMemoryServer, bob: Client) -> None:
    """A user who logs out after a restart is offline at once."""
    await bob.sync()
    await server.restart(bob)
    await bob.sync()
    await bob.log_out()
    assert server.presence_of(bob).state == "offline"


async def test_polls_are_answered(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A poll is answered when the server restarts, with a token that is good after the restart."""
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

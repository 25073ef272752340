"""The operator switches presence off: clients show everybody as offline, and hear no more."""

from pathlib import Path

import pytest

from lamplighter.config.load import parse_config_text
from lamplighter.devtools.client import Client, SyncQuery
from lamplighter.devtools.server import InMemoryServer

THE_END = {"presence": "offline"}
UNSEEN: SyncQuery = {"set_presence": "offline"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The server can be restarted."""
    return tmp_path / "data"


async def switch(server: InMemoryServer, enabled: str, *clients: Client) -> None:
    """Restart the server with `presence.enabled` as the operator sets it."""
    text = f"server_name: demo\nrate_limits: off\npresence: {{enabled: {enabled}}}\n"
    server.configure(parse_config_text(text, Path("memory.yaml")))
    await server.restart(*clients)


async def test_everybody_is_offline_once(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A client that has seen others, and itself, online is told once that all are offline."""
    await bob.set_status("online", "hello")
    await alice.sync()
    await switch(server, "false", alice, bob)
    assert server.presence_of(bob).state == "offline"
    assert (await alice.sync()).presence == {alice.user_id: THE_END, bob.user_id: THE_END}
    assert (await alice.sync()).presence == {}
    await switch(server, "false", alice, bob)
    assert (await alice.sync()).presence == {}


async def test_offline_already(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A client gets nothing of a user whom it shows as offline, without a message."""
    await bob.set_status("offline")
    await alice.sync(**UNSEEN)
    await switch(server, "false", alice)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_gone_offline_since(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """A client is told of a user, too, who went offline after the client's token."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await bob.set_status("offline")
    await switch(server, "false", alice)
    assert (await alice.sync(**UNSEEN)).presence == {bob.user_id: THE_END}


async def test_strangers_are_not_named(server: InMemoryServer, alice: Client, bob: Client) -> None:
    """A client is told nothing of users who were not visible."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await switch(server, "false", alice)
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_a_first_sync(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A client that starts afresh is told of nobody."""
    await bob.set_status("online", "hello")
    await switch(server, "false", alice)
    assert (await alice.first_sync()).presence == {}
    assert (await alice.sync()).presence == {}


@pytest.mark.parametrize("query", ["nonsense", "full_state"])
async def test_other_ways_to_ask(
    server: InMemoryServer, alice: Client, bob: Client, room: str, query: str
) -> None:
    """A token that says nothing, and `full_state`, are answered with every visible user."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await switch(server, "false", alice)
    asked: SyncQuery = {"since": "nonsense"} if query == "nonsense" else {"full_state": "true"}
    assert (await alice.sync(**asked)).presence == {bob.user_id: THE_END}


async def test_a_poll_waits(server: InMemoryServer, alice: Client, bob: Client, room: str) -> None:
    """A poll that has no presence to deliver waits for its rooms."""
    await switch(server, "false", alice, bob)
    await alice.sync()
    poll = await alice.polls()
    assert not poll.answered
    await bob.send(room, "hello")
    assert (await poll.answer()).presence == {}


async def test_switched_on_again(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """After presence is switched on again, clients get every state, though none has changed."""
    await bob.set_status("offline", "on holiday")
    await alice.sync(**UNSEEN)
    await switch(server, "false", alice)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) is None
    await switch(server, "true", alice)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "on holiday"
    assert (await alice.sync(**UNSEEN)).presence == {}


async def test_untracked_is_not_off(
    server: InMemoryServer, alice: Client, bob: Client, room: str
) -> None:
    """If modules alone set presence, clients go on to show the states that they have."""
    await bob.set_status("online", "hello")
    await alice.sync(**UNSEEN)
    await switch(server, "untracked", alice)
    await alice.sync(**UNSEEN)
    assert alice.reads(bob) == "hello"

"""The core of presence in a server: what no story of a client tells."""

from datetime import timedelta
from typing import Any

import pytest

from lamplighter.devtools.server import running_server
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence
from tests.routing.people import DORA


@pytest.mark.parametrize(
    ("enabled", "heard"), [("true", "online"), ("untracked", "offline"), ("false", "offline")]
)
async def test_other_servers(enabled: str, heard: str) -> None:
    """Other servers are heard where presence is tracked, and nowhere else."""
    async with running_server(config=f"presence: {{enabled: {enabled}}}") as server:
        update = RemoteUpdate(DORA, Presence.ONLINE, "hi", timedelta(0), True)
        server.lamplighter.core.federated.remote_updates([update])
        assert server.presence_of(DORA).state == heard


async def test_stopping_leaves_no_timer() -> None:
    """A server that has stopped has no timer left."""
    async with running_server() as server:
        await (await server.register("bob")).sync()
        await server.stop()
        assert server.clock.next_timer() is None
        await server.start()


async def test_subscribers_hear_announced_states() -> None:
    """A subscriber hears announced states, and nothing when users become visible to each other."""
    heard: list[Any] = []
    async with running_server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        stop = server.api.subscribe_to_presence(
            lambda states: heard.extend((it.user_id, it.status_msg) for it in states)
        )
        await bob.set_status("online", "one")
        await server.room(bob, alice)
        await server.settled()
        stop()
        await bob.set_status("online", "two")
        await server.settled()
        assert heard == [(bob.user_id, "one")]

"""A Lamplighter and a real Synapse, with the same module: each shows the other's users."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.federation_interop.certificates import Authority
from tests.federation_interop.people import news_of
from tests.federation_interop.synapse import Synapse
from tests.interop.clients import Person, register
from tests.interop.federated import federated
from tests.interop.processes import ServerProcess, reserved_port


@pytest.fixture
def lamplighter(tmp_path: Path, synapse: Synapse, authority: Authority) -> Iterator[ServerProcess]:
    """A running Lamplighter, with bob, beside a running Synapse, with alice."""
    with reserved_port() as port, reserved_port() as client_port:
        name = f"127.0.0.1:{port}"
        alice, bob = synapse.user("alice"), f"@bob:{name}"
        shows = {alice: [bob], bob: [alice]}
        synapse.configure(shows)
        synapse.start()
        server = federated(tmp_path / "lamplighter", name, client_port, authority, shows)
        server.start()
        try:
            yield server
        finally:
            server.kill_if_running()


async def told(user: Person, viewer: Person, presence: str, status_msg: str) -> None:
    """Set *user*'s presence, and poll as *viewer* until a `/sync` has exactly that."""
    assert (await user.put_status(presence, status_msg)).status == 200
    expected = {"presence": presence}
    if status_msg:
        expected["status_msg"] = status_msg
    while True:
        news = await news_of(user.user_id, viewer)
        active = news.pop("currently_active", False)
        if news == expected:
            assert active is (presence == "online")
            return


async def test_both_ways(
    lamplighter: ServerProcess, synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    """Alice's changes in Synapse reach bob's `/sync` here, and bob's changes reach hers."""
    alice = await register(http, synapse.url, "alice")
    bob = await register(http, lamplighter.url, "bob")
    await alice.sync(set_presence="offline")
    await bob.sync(set_presence="offline")
    for user, viewer in ((bob, alice), (alice, bob)):
        await told(user, viewer, "online", "making cupcakes")
        await told(user, viewer, "unavailable", "in the oven")
        await told(user, viewer, "offline", "")

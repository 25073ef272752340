"""Two Lamplighters on one machine, over real TLS: presence without rooms, in both directions."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.federation_interop.certificates import Authority
from tests.federation_interop.people import news_of
from tests.interop.clients import Person, register
from tests.interop.federated import federated
from tests.interop.processes import ServerProcess, reserved_port


@dataclass(frozen=True)
class Pair:
    """Two servers, one for alice and one for bob, each of whom is shown the other."""

    one: ServerProcess
    two: ServerProcess


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two servers that run."""
    with ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(4)]
        names = [f"localhost:{port}" for port in ports[:2]]
        alice, bob = f"@alice:{names[0]}", f"@bob:{names[1]}"
        shows = {alice: [bob], bob: [alice]}
        authority = Authority(tmp_path / "authority.pem")
        servers = [
            federated(tmp_path / folder, name, port, authority, shows)
            for folder, name, port in zip(("one", "two"), names, ports[2:], strict=True)
        ]
        for server in servers:
            stack.callback(server.kill_if_running)
            server.start()
        yield Pair(*servers)


async def until(viewer: Person, user: Person, **expected: Any) -> None:
    """Poll as *viewer* until a `/sync` tells that of *user*, and let time decide nothing."""
    while (await news_of(user.user_id, viewer)) != expected:
        pass


async def test_both_ways(pair: Pair, http: aiohttp.ClientSession) -> None:
    """Alice and bob share no room and no server, and see what the other does."""
    alice = await register(http, pair.one.url, "alice")
    bob = await register(http, pair.two.url, "bob")
    await alice.sync()
    await bob.sync()
    for user, viewer in ((alice, bob), (bob, alice)):
        await user.put_status("online", "making cupcakes")
        await until(
            viewer, user, presence="online", status_msg="making cupcakes", currently_active=True
        )
        await user.put_status("unavailable", "in the oven")
        await until(viewer, user, presence="unavailable", status_msg="in the oven")
        await user.put_status("offline", "")
        await until(viewer, user, presence="offline")


async def test_restarts(pair: Pair, http: aiohttp.ClientSession) -> None:
    """Whichever server restarts, the newest state arrives, and what was known is kept."""
    alice = await register(http, pair.one.url, "alice")
    bob = await register(http, pair.two.url, "bob")
    await alice.sync()
    await bob.sync()
    await alice.put_status("online", "one")
    await until(bob, alice, presence="online", status_msg="one", currently_active=True)

    assert pair.two.stop().code == 0
    await alice.put_status("unavailable", "while you were out")
    pair.two.start()
    await until(bob, alice, presence="unavailable", status_msg="while you were out")

    await bob.put_status("online", "two")
    await until(alice, bob, presence="online", status_msg="two", currently_active=True)
    assert pair.one.stop().code == 0
    await bob.put_status("online", "three")
    pair.one.start()
    await until(alice, bob, presence="online", status_msg="three", currently_active=True)
    assert (await alice.status(bob)).json["status_msg"] == "three"

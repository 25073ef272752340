"""Two Lamplighters on one machine, over real TLS: presence without rooms, in both directions."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.federation_interop.certificates import Authority
from tests.federation_interop.people import news_of
from tests.interop.clients import register
from tests.interop.federated import federated
from tests.interop.processes import reserved_port


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[list[str]]:
    """Two servers that run, one for alice and one for bob, each of whom is shown the other."""
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
        yield [server.url for server in servers]


async def test_both_ways(urls: list[str], http: aiohttp.ClientSession) -> None:
    """Alice and bob share no room and no server, and see each other's changes."""
    alice = await register(http, urls[0], "alice")
    bob = await register(http, urls[1], "bob")
    await alice.sync()
    await bob.sync()
    states: list[dict[str, Any]] = [
        {"presence": "online", "status_msg": "making cupcakes", "currently_active": True},
        {"presence": "unavailable", "status_msg": "in the oven"},
        {"presence": "offline"},
    ]
    for user, viewer in ((alice, bob), (bob, alice)):
        for state in states:
            await user.put_status(state["presence"], state.get("status_msg", ""))
            while (await news_of(user.user_id, viewer)) != state:
                pass  # a /sync that tells of the user, until it tells this

"""nginx and Caddy with a server behind them, by the files in deploy/."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.deploy.proxies import Places, Proxy, free_places, running
from tests.federation_interop.certificates import Authority
from tests.interop.clients import V3, polls_under_way, register
from tests.interop.processes import ServerProcess

CONFIG: Final = """
federation:
  enabled: true
  listen: 127.0.0.1:{federation}
  well_known_server: example.org:443
modules:
  - module: lamplighter_examples.custom_presence_router.CustomPresenceRouter
    config: {{shows: {{"@alice:example.org": ["@bob:example.org"]}}}}
"""


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Ports that are free."""
    with free_places(tmp_path, 8008, 8448) as places:
        yield places


@pytest.fixture
def server(places: Places) -> Iterator[ServerProcess]:
    """A server as deployment.md configures it behind a proxy."""
    config = CONFIG.format(federation=places.behind[8448])
    server = ServerProcess(places.folder / "server", places.behind[8008], config, "example.org")
    server.start()
    yield server
    server.kill_if_running()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that issues the proxy's certificate."""
    return Authority(tmp_path / "authority.pem")


@pytest.fixture(
    params=[
        pytest.param(
            it, id=it.program, marks=pytest.mark.skipif(not it.is_here, reason="not installed")
        )
        for it in (Proxy("nginx", "nginx.conf"), Proxy("caddy", "Caddyfile"))
    ]
)
async def http(
    request: pytest.FixtureRequest,
    places: Places,
    server: ServerProcess,
    authority: Authority,
) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections that trust the proxy's certificate."""
    proxy: Proxy = request.param
    connector = aiohttp.TCPConnector(ssl=authority.client_context())
    url = f"https://localhost:{places.proxy}"
    with running(proxy, places, authority):
        async with aiohttp.ClientSession(url, connector=connector) as session:
            yield session


async def test_a_long_poll_comes_through(
    http: aiohttp.ClientSession, places: Places, server: ServerProcess
) -> None:
    """Alice's poll waits behind the proxy, until bob sets his status."""
    url = f"https://localhost:{places.proxy}"
    alice, bob = await register(http, url, "alice"), await register(http, url, "bob")
    await alice.sync()

    poll = asyncio.create_task(alice.sync(timeout=60_000))
    await polls_under_way(http, server.url, 1)
    await bob.put_status("online", "behind a proxy")
    answer = await poll

    [event] = answer.json["presence"]["events"]
    assert event["sender"] == bob.user_id
    assert event["content"]["status_msg"] == "behind a proxy"


async def test_a_client_that_goes_is_seen_to_go(
    http: aiohttp.ClientSession, places: Places, server: ServerProcess, authority: Authority
) -> None:
    """When a client closes its connection, the proxy closes the one behind it."""
    alice = await register(http, f"https://localhost:{places.proxy}", "alice")
    await alice.sync()
    request = (
        f"GET {V3}/sync?timeout=60000&since={alice.next_batch} HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {alice.token}\r\n\r\n"
    )

    context = authority.client_context()
    _, writer = await asyncio.open_connection("localhost", places.proxy, ssl=context)
    writer.write(request.encode())
    await polls_under_way(http, server.url, 1)
    writer.transport.abort()

    await polls_under_way(http, server.url, 0)


async def test_who_serves_what(http: aiohttp.ClientSession) -> None:
    """Other servers reach keys and federation; the operator's pages are hidden."""
    async with http.get("/_matrix/key/v2/server") as response:
        keys = await response.json()
    async with http.get("/.well-known/matrix/server") as response:
        way = await response.json(content_type=None)
    statuses = {}
    for path in ("/metrics", "/_lamplighter/", "/_lamplighter/admin/users", "/health"):
        async with http.get(path) as response:
            statuses[path] = response.status

    assert (keys["server_name"], way) == ("example.org", {"m.server": "example.org:443"})
    assert statuses == {
        "/metrics": 404,
        "/_lamplighter/": 404,
        "/_lamplighter/admin/users": 404,
        "/health": 200,
    }

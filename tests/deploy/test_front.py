"""nginx and Caddy before Lamplighter and a homeserver, by the files in deploy/front/."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send
from yarl import URL

from lamplighter.clock import SystemClock
from lamplighter.config import Address
from lamplighter.web.http.server import HttpServer
from lamplighter.web.listener import Listener
from lamplighter.web.server import MATRIX
from tests.deploy.proxies import Places, Proxy, free_places, running
from tests.federation_interop.certificates import Authority
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver
from tests.interop.clients import V3, Person, polls_under_way
from tests.interop.processes import ServerProcess, reserved_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS: Final = ("nginx-all.conf", "nginx-lean.conf", "Caddyfile-all", "Caddyfile-lean")
UPLOAD: Final = "/_matrix/media/v3/upload"
TRANSACTION: Final = "/_matrix/app/v1/transactions/1"
LARGE: Final = bytes(8 * 1024 * 1024)
PHONE: Final = "/devices/PHONE"


@dataclass
class Site:
    """A proxy, Lamplighter and a homeserver."""

    small: SmallHomeserver
    lamplighter: ServerProcess
    http: aiohttp.ClientSession
    authority: Authority
    places: Places
    is_lean: bool
    #: The paths of requests that came to the homeserver: from Lamplighter, and from the proxy.
    passed_on: list[str] = field(default_factory=list)
    direct: list[str] = field(default_factory=list)

    def people(self, *names: str) -> list[Person]:
        """Return users of the homeserver, who share a room named by the first of them."""
        url = f"https://localhost:{self.places.proxy}"
        self.small.members[f"!{names[0]}:demo"] = [f"@{it}:demo" for it in names]
        return [Person(self.http, url, f"@{it}:demo", self.small.log_in(it)) for it in names]

    async def way_of(self, method: str, path: str, token: str) -> str:
        """Send a request; return where the proxy has sent it."""
        before = len(self.direct)
        async with self.http.request(
            method, URL(path, encoded=True), headers={"Authorization": f"Bearer {token}"}, data=b""
        ) as response:
            body, kind = await response.read(), response.content_type
        if len(self.direct) > before:
            return "homeserver"
        is_nobodys = not body or (response.status == 404 and kind != "application/json")
        return "nobody" if is_nobodys else "Lamplighter"


def _noting(small: SmallHomeserver, paths: list[str]) -> Callable[..., Awaitable[None]]:
    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["raw_path"].decode())
        await small(scope, receive, send)

    return noted


@asynccontextmanager
async def site(file: str, places: Places, behind: int) -> AsyncIterator[Site]:
    """Run all three; *behind* is the port at which Lamplighter reaches the homeserver."""
    registration = places.folder / "registration.yaml"
    registration.write_text(f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}")
    config = (
        "presence: {sync_online_timeout: 1h}\n"
        f"homeserver: {{url: 'http://127.0.0.1:{behind}', registration: {registration}}}"
    )
    lamplighter = ServerProcess(places.folder / "server", places.behind[8018], config, "demo")
    authority = Authority(places.folder / "authority.pem")
    proxy = Proxy("nginx" if file.startswith("nginx") else "caddy", f"front/{file}")
    if not proxy.is_here:
        pytest.skip("not installed")
    connector = aiohttp.TCPConnector(ssl=authority.client_context())
    clock = SystemClock()
    small = SmallHomeserver(clock)
    async with aiohttp.ClientSession(
        f"https://localhost:{places.proxy}", connector=connector
    ) as http:
        found = Site(small, lamplighter, http, authority, places, "lean" in file)
        listeners = [
            Listener(HttpServer(_noting(small, paths), clock, MATRIX), Address(f"127.0.0.1:{port}"))
            for paths, port in (
                (found.passed_on, behind),
                (found.direct, places.behind[8008]),
            )
        ]
        for listener in listeners:
            await listener.start()
        await asyncio.to_thread(lamplighter.start)
        try:
            with running(proxy, places, authority):
                yield found
        finally:
            await asyncio.to_thread(lamplighter.kill_if_running)
            for listener in listeners:
                await listener.stop()


@pytest_asyncio.fixture(params=WAYS, scope="module", loop_scope="module")
async def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A site by one of the files; each test has users of its own."""
    folder = tmp_path_factory.mktemp("front")
    with free_places(folder, 8018, 8008) as places, reserved_port() as behind:
        async with site(request.param, places, behind) as found:
            yield found


async def test_what_goes_where(front: Site) -> None:
    """All of /_matrix goes through Lamplighter, or what concerns presence; nobody else's pages."""
    [wendy] = front.people("wendy")
    of_presence = [
        ("GET", f"{V3}/sync"),
        ("GET", "/_matrix/client/r0/sync"),
        ("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"),
        ("GET", f"{V3}/presence/%40wendy%3Ademo/status"),
        ("PUT", "/_matrix/federation/v1/send/1"),
        ("POST", f"{V3}/logout/all"),
        ("POST", f"{V3}/logout"),
    ]
    others = [
        ("GET", "/_matrix/client/versions"),
        ("PUT", f"{V3}/rooms/%21wendy%3Ademo/typing/%40wendy%3Ademo"),
        ("GET", f"{V3}/user/%40a%2Fb%3Ademo/filter/1"),
        ("GET", f"{V3}/synchronous"),
        ("POST", f"{V3}/logout/all/of"),
        ("GET", "/_matrix/federation/v1/event/%24a%2Fb"),
        ("GET", "/_matrix/key/v2/server"),
        ("POST", UPLOAD),
    ]
    nobodys = ["/metrics", "/health", "/_lamplighter/", "/_synapse/admin/v1/users"]
    expected = dict.fromkeys(others, "homeserver" if front.is_lean else "Lamplighter")
    expected |= dict.fromkeys(of_presence, "Lamplighter")
    expected[("GET", "/_synapse/client/pick_username")] = "homeserver"
    expected[("PUT", TRANSACTION)] = "homeserver" if front.is_lean else "nobody"
    expected |= {("GET", it): "nobody" for it in nobodys}

    ways = {(method, it): await front.way_of(method, it, wendy.token) for method, it in expected}

    assert ways == expected
    # Each as it was sent, escapes included.
    assert {it for _, it in others} <= set(front.direct if front.is_lean else front.passed_on)


async def test_presence_and_addresses_come_through(front: Site) -> None:
    """A poll waits for presence and messages; who asks is known; large uploads pass."""
    alice, bob = front.people("alice", "bob")
    await alice.sync()
    poll = asyncio.create_task(alice.sync(timeout=60_000))
    await polls_under_way(front.http, front.lamplighter.url, 1)
    await bob.put_status("online", "behind a proxy")
    [event] = (await poll).json["presence"]["events"]
    assert (event["sender"], event["content"]["status_msg"]) == (bob.user_id, "behind a proxy")
    poll = asyncio.create_task(alice.sync(timeout=60_000))
    await bob.ask("PUT", "/rooms/%21alice%3Ademo/send/m.room.message/1", {"body": "hello"})
    assert "!alice:demo" in (await poll).json["rooms"]["join"]

    context = front.authority.client_context()
    _, writer = await asyncio.open_connection("localhost", front.places.proxy, ssl=context)
    writer.write(
        f"GET {V3}/sync?timeout=60000&since={alice.next_batch} HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {alice.token}\r\n\r\n".encode()
    )
    await polls_under_way(front.http, front.lamplighter.url, 1)
    writer.transport.abort()
    await polls_under_way(front.http, front.lamplighter.url, 0)

    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "gopher"}
    front.small.instead[UPLOAD] = (200, {"content_uri": "mxc://demo/1"})
    for method, path, body in (("GET", f"{V3}/sync", b""), ("POST", UPLOAD, LARGE)):
        headers = forged | {"Authorization": f"Bearer {alice.token}"}
        async with front.http.request(
            method, path, headers=headers, data=BytesIO(body)
        ) as response:
            assert response.status == 200
        asked = [it for it in front.small.asked if it.path == path][-1]
        assert asked.headers["x-forwarded-for"] in ("127.0.0.1", "::1")
        assert asked.headers["x-forwarded-proto"] == "https"
        assert len(asked.body) == len(body)
    assert asked.headers["content-length"] == str(len(LARGE))


async def test_what_the_lean_way_does_not_see(front: Site) -> None:
    """A leave past Lamplighter counts once the transaction has come, a deleted device later."""
    lea, leo = front.people("lea", "leo")
    await leo.put_status("online", "brb")
    assert (await lea.status(leo)).json["status_msg"] == "brb"

    front.small.instead[f"{V3}{PHONE}"] = (200, {})
    await leo.ask("DELETE", PHONE)
    assert (await lea.status(leo)).json["presence"] == ("online" if front.is_lean else "offline")

    await lea.ask("POST", "/rooms/%21lea%3Ademo/leave", {})
    assert (await lea.status(leo)).status == (200 if front.is_lean else 403)
    await transaction(front)
    while (await lea.status(leo)).status != 403:
        pass  # Lamplighter asks the homeserver who is in the room


@pytest.mark.parametrize("front", ["nginx-leaving.conf", "Caddyfile-leaving"], indirect=True)
async def test_lamplighter_is_taken_out_at_once(front: Site) -> None:
    """A client with a token of Lamplighter's goes on at the homeserver, and misses nothing."""
    [alice] = front.people("alice")
    before = Person(front.http, front.lamplighter.url, alice.user_id, alice.token)
    await before.sync()
    front.small.say("!alice:demo", "hello")
    theirs = str(before.next_batch).rpartition("~")[0]
    assert theirs
    of_nodes = [f"{theirs}~{it}" for it in ("17-3-1a2b-0badcafe", "17-3-1a2b-16-983040-0badcafe")]
    for token in (before.next_batch, *of_nodes, theirs):
        for query in ({"filter": '{"a&b": "~%7E"}'}, {}, {"filter": ""}):
            alice.next_batch = token
            answer = await alice.sync(timeout=1, **query)
            assert "!alice:demo" in answer.json["rooms"]["join"]
            assert front.small.asked[-1].query == {"since": theirs, "timeout": "1"} | {
                name: value for name, value in query.items() if value
            }
    assert set(front.direct) == {f"{V3}/sync"}


async def transaction(front: Site) -> None:
    """Let the homeserver tell its application service what has happened."""
    url = front.lamplighter.url + TRANSACTION
    headers = {"Authorization": f"Bearer {HS_TOKEN}"}
    content: Any = front.small.transaction()
    async with front.http.put(url, json=content, headers=headers) as response:
        assert response.status == 200

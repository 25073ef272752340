"""The whole federation client against hosts that try to lead it to an inward address.

In these tests one loopback address stands for the public Internet, and another one for a neighbour
that must not be contacted. DNS is a table.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from lamplighter.devtools.clock import FakeClock
from lamplighter.domains import IPAddress
from lamplighter.errors import RemoteRefused, RemoteUnreachable
from lamplighter.federation.addresses import AddressRules
from lamplighter.federation.client import FederationClient
from lamplighter.federation.discovery import Discovery, Locator
from lamplighter.federation.keys import SigningKeys
from lamplighter.federation.resolver import Service
from lamplighter.federation.well_known import WellKnown, WellKnownRequests
from lamplighter.ids import ServerName
from tests.federation.names import FixedResolver
from tests.federation.tls import Handler, TlsServer, dripping, open_transport, tls_server

THERE: Final = ServerName("there.example")
OUTSIDE: Final = "127.0.0.1"
INSIDE: Final = "127.0.0.2"
WELL_KNOWN: Final = "/.well-known/matrix/server"
NAMES: Final = {
    THERE: [OUTSIDE],
    "inside.example": [INSIDE],
    "mapped.example": [f"::ffff:{INSIDE}"],
    "localhost": [INSIDE, "::1"],
}


@dataclass(frozen=True)
class Neighbour:
    """A listener at an inward address, to which nobody may connect."""

    listener: socket.socket

    @property
    def port(self) -> int:
        """Its port."""
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def was_called(self) -> bool:
        """Whether anybody has connected."""
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    """A listener at an inward address."""
    with socket.create_server((INSIDE, 0)) as listener:
        listener.setblocking(False)
        yield Neighbour(listener)


class TurningResolver(FixedResolver):
    """Gives another address each time that it is asked, and the last one from then on."""

    def __init__(self, *turns: str) -> None:
        super().__init__({})
        self._turns = list(turns)

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        return [ip_address(self._turns.pop(0) if len(self._turns) > 1 else self._turns[0])]


@asynccontextmanager
async def speaking_to(
    folder: Path,
    handler: Handler,
    neighbour: Neighbour,
    *,
    resolver: FixedResolver | None = None,
    clock: FakeClock | None = None,
) -> AsyncIterator[tuple[FederationClient, TlsServer]]:
    """Open a client, and `THERE` which is found by an SRV record."""
    clock, admits = clock or FakeClock(), AddressRules([f"{OUTSIDE}/32"]).admits
    keys = SigningKeys.load_or_create(folder / "signing.key", ServerName("here.example"))
    async with tls_server(handler, THERE) as server, open_transport(admits=admits) as transport:
        services = {
            f"_matrix-fed._tcp.{THERE}": [Service(0, 0, server.port, THERE)],
            "_matrix-fed._tcp.srv.example": [Service(0, 0, neighbour.port, "inside.example")],
        }
        locator = Locator(resolver or FixedResolver(NAMES, services), admits)
        well_known = WellKnown(WellKnownRequests(transport, locator, clock, port=server.port).fetch)
        yield (
            FederationClient(keys, Discovery(locator, well_known.delegate), transport, clock),
            server,
        )


def delegating(body: str) -> Handler:
    """Return a handler with a well-known document, and an empty object for everything else."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=body if request.path == WELL_KNOWN else "{}")

    return handle


@pytest.mark.parametrize(
    "server",
    [
        "127.0.0.2:{port}",
        "[::ffff:127.0.0.2]:{port}",
        "[::1]:{port}",
        "10.0.0.1",
        "inside.example:{port}",
        "mapped.example:{port}",
        "localhost:{port}",
        "inside.example",
        "srv.example",
    ],
)
async def test_a_document_that_leads_inward(
    tmp_path: Path, neighbour: Neighbour, server: str
) -> None:
    """A well-known document that leads to an inward address makes the host unreachable."""
    document = f'{{"m.server": "{server.format(port=neighbour.port)}"}}'
    async with speaking_to(tmp_path, delegating(document), neighbour) as (client, there):
        for _ in range(2):
            with pytest.raises(RemoteUnreachable, match=r"has no address that may be contacted$"):
                await client.request(THERE, "GET", "/secret")
        assert [it.path for it in there.requests] == [WELL_KNOWN]
        assert not neighbour.was_called


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.2:{port}/",
        "https://[::ffff:127.0.0.2]:{port}/",
        "https://[::1]:{port}/",
        "https://inside.example:{port}/",
        "https://mapped.example:{port}/",
        "https://localhost:{port}/",
        "https://there.example@127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://127.0.0.2:{port}/",
        "/again",
    ],
)
async def test_a_redirect_that_leads_inward(
    tmp_path: Path, neighbour: Neighbour, location: str
) -> None:
    """A redirect inward, or in a circle, counts as no document; the host itself is used."""

    async def handle(request: web.Request) -> web.Response:
        if request.path.startswith("/_matrix"):
            return web.Response(text="{}")
        where = location.format(port=neighbour.port)
        return web.Response(status=302, headers={"Location": where})

    async with speaking_to(tmp_path, handle, neighbour) as (client, there):
        assert await client.request(THERE, "GET", "/_matrix/x") == {}
        # Five redirects at most, and then the request itself.
        rounds = 6 if location == "/again" else 1
        assert [it.path == "/_matrix/x" for it in there.requests] == [False] * rounds + [True]
        assert not neighbour.was_called


async def test_a_document_that_comes_slowly(tmp_path: Path, neighbour: Neighbour) -> None:
    """A document that does not end counts as no document after ten seconds."""
    began, clock = asyncio.Event(), FakeClock()

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = dripping(began) if request.path == WELL_KNOWN else delegating("")
        return await answer(request)

    async with speaking_to(tmp_path, handle, neighbour, clock=clock) as (client, _):
        asking = asyncio.create_task(client.request(THERE, "GET", "/x"))
        await began.wait()
        clock.advance(seconds=10)
        assert await asking == {}


async def test_a_name_that_turns(tmp_path: Path, neighbour: Neighbour) -> None:
    """If DNS changes its answer, connections go to the address that was admitted."""
    async with speaking_to(
        tmp_path,
        delegating(""),
        neighbour,
        resolver=TurningResolver(OUTSIDE, INSIDE),
    ) as (client, there):
        server = ServerName(f"{THERE}:{there.port}")
        for _ in range(3):  # looked up once, and cached
            assert await client.request(server, "GET", "/x") == {}
        with pytest.raises(RemoteUnreachable, match=r"has no address that may be contacted$"):
            await client.request(ServerName(f"{THERE}:{neighbour.port}"), "GET", "/x")
        assert not neighbour.was_called


async def test_a_server_that_sends_us_inward(tmp_path: Path, neighbour: Neighbour) -> None:
    """A redirect of a request counts as a refusal."""

    async def handle(request: web.Request) -> web.Response:
        where = f"https://{INSIDE}:{neighbour.port}/"
        return web.Response(status=307, headers={"Location": where})

    async with speaking_to(tmp_path, handle, neighbour) as (client, there):
        with pytest.raises(RemoteRefused) as raised:
            await client.request(THERE, "PUT", "/x", {})
        assert (raised.value.status, raised.value.errcode) == (307, None)
        assert [it.path for it in there.requests] == [WELL_KNOWN, "/x"]
        assert not neighbour.was_called

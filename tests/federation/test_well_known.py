"""Well-known documents: which are valid, for how long, and real requests over TLS."""

import json
from datetime import timedelta
from typing import Final

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from lamplighter.clock import Timestamp, after
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.discovery import Locator
from lamplighter.federation.transport import Answer
from lamplighter.federation.well_known import WellKnown, WellKnownRequests, lifetime
from tests.federation.names import FixedResolver
from tests.federation.tls import LOOPBACK, Handler, TlsServer, admit_all, open_transport, tls_server

HOST: Final = "there.example"
NOW: Final = Timestamp(1_704_067_200_000)  # Mon, 01 Jan 2024 00:00:00 GMT
HOUR: Final = timedelta(hours=1)
GOOD: Final = b'{"m.server": "matrix.there.example:443"}'


def answer(body: bytes = GOOD, status: int = 200, **headers: str) -> Answer:
    """Return an answer of a host; `Cache_Control` is the header Cache-Control."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status, CIMultiDictProxy(named), body)


class Hosts:
    """Hosts that give *answers* in turn; None is no answer."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def fetch(self, host: str) -> Answer:
        self.asked.append(host)
        given = self.answers.pop(0) if self.answers else None
        if given is None:
            raise RemoteUnreachable(f"{host} is dead")
        return given


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (GOOD, "matrix.there.example:443"),
        (b'{"m.server": "192.0.2.1", "more": [1]}', "192.0.2.1"),
        (b'{"m.server": "[2001:db8::1]:80"}', "[2001:db8::1]:80"),
        (b'{"m.server": ""}', None),
        (b'{"m.server": "https://matrix.there.example"}', None),
        (b'{"m.server": "there.example/path"}', None),
        (b'{"m.server": "there.example:x"}', None),
        (b'{"m.server": 5}', None),
        (b'{"m.server": null}', None),
        (b'{"m.homeserver": "there.example"}', None),
        (b'["m.server"]', None),
        (b"<html>", None),
        (b"", None),
        (b'{"m.server": "\xff"}', None),
        (b"[" * 50_000, None),
        (b'{"m.server":' * 4_000, None),
    ],
)
async def test_what_is_a_document(body: bytes, expected: str | None) -> None:
    """A document must name a server by the grammar; anything else counts as no document."""
    assert await WellKnown(Hosts(answer(body)).fetch).delegate(HOST, NOW) == expected


async def test_no_document() -> None:
    """A document with a status other than 200 counts as no document; so does no answer."""
    for status in (201, 204, 302, 404, 500):
        assert await WellKnown(Hosts(answer(status=status)).fetch).delegate(HOST, NOW) is None
    assert await WellKnown(Hosts().fetch).delegate(HOST, NOW) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, timedelta(hours=24)),
        ({"Cache-Control": "public"}, timedelta(hours=24)),
        ({"Cache-Control": "public, max-age=7200"}, timedelta(hours=2)),
        ({"Cache-Control": 'Max-Age = "7200"'}, timedelta(hours=2)),
        ({"Cache-Control": "max-age=0"}, timedelta(minutes=5)),
        ({"Cache-Control": "max-age=999999999999"}, timedelta(hours=48)),
        ({"Cache-Control": "max-age=7200, no-store"}, timedelta(minutes=5)),
        ({"Cache-Control": "no-cache"}, timedelta(minutes=5)),
        ({"Expires": "Mon, 01 Jan 2024 02:00:00 GMT"}, timedelta(hours=2)),
        ({"Expires": "Sun, 31 Dec 2023 23:00:00 GMT"}, timedelta(minutes=5)),
        ({"Expires": "Fri, 31 Dec 9999 23:59:59 GMT"}, timedelta(hours=48)),
        ({"Expires": "0"}, timedelta(minutes=5)),
        (
            {"Expires": "Mon, 01 Jan 2024 02:00:00 GMT", "Cache-Control": "max-age=3600"},
            timedelta(hours=1),
        ),
    ],
)
def test_how_long_a_document_is_cached(headers: dict[str, str], expected: timedelta) -> None:
    """The headers of a document set its lifetime, within limits; without them it is a day."""
    assert lifetime(headers, NOW) == expected


async def test_a_document_is_cached() -> None:
    """A host is asked again when its document has expired, and not before."""
    hosts = Hosts(answer(Cache_Control="max-age=3600"), answer(b'{"m.server": "other.example"}'))
    known = WellKnown(hosts.fetch)
    instants = [NOW, Timestamp(after(NOW, HOUR) - 1), after(NOW, HOUR)]
    found = [await known.delegate(HOST, now) for now in instants]
    assert found == ["matrix.there.example:443", "matrix.there.example:443", "other.example"]
    assert hosts.asked == [HOST, HOST]


async def test_hosts_without_a_document() -> None:
    """A host without a document is asked after 1, 2, 4, … minutes, and then every hour."""
    hosts = Hosts(answer(status=404))
    known = WellKnown(hosts.fetch)
    asked_at: list[int] = []
    for minute in range(250):
        await known.delegate(HOST, after(NOW, timedelta(minutes=minute)))
        if len(hosts.asked) > len(asked_at):
            asked_at.append(minute)
    assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


async def test_a_document_ends_the_back_off() -> None:
    """A valid document resets the pauses."""
    hosts = Hosts(None, answer(Cache_Control="max-age=300"), None)
    known = WellKnown(hosts.fetch)
    for minute in (0, 1, 6, 7):
        await known.delegate(HOST, after(NOW, timedelta(minutes=minute)))
    assert len(hosts.asked) == 4


async def test_bounded() -> None:
    """Beyond the capacity, hosts are asked again."""
    hosts = Hosts(answer(), answer(), answer())
    known = WellKnown(hosts.fetch, capacity=1)
    for host in ("a.example", "b.example", "a.example"):
        await known.delegate(host, NOW)
    assert hosts.asked == ["a.example", "b.example", "a.example"]


async def fetch(server: TlsServer) -> Answer:
    """Ask `HOST`, where *server* listens, for its document."""
    async with open_transport() as transport:
        names = FixedResolver({HOST: [LOOPBACK], "other.example": [LOOPBACK]})
        locator = Locator(names, admit_all)
        requests = WellKnownRequests(transport, locator, FakeClock(), port=server.port)
        return await requests.fetch(HOST)


def redirecting(*locations: str | None) -> Handler:
    """Return a handler that redirects to *locations* in turn, and then answers a document."""
    waiting = list(locations)

    async def handle(request: web.Request) -> web.Response:
        if not waiting:
            return web.Response(body=GOOD)
        location = waiting.pop(0)
        if location is None:
            return web.Response(status=302)
        port = request.url.port
        return web.Response(status=302, headers={"Location": location.format(port=port)})

    return handle


async def test_a_real_request() -> None:
    """A host is asked over TLS, by its own name, at the specified path."""
    async with tls_server(redirecting(), HOST) as server:
        found = await fetch(server)
        assert (found.status, found.body) == (200, GOOD)
        header = f"{HOST}:{server.port}"
        assert server.seen() == [("GET", header, "/.well-known/matrix/server")]
        assert server.server_names == [HOST]


async def test_redirects() -> None:
    """A redirect is followed to the same host or to another host with a valid certificate.

    A user name and password in a redirect are not sent.
    """
    handler = redirecting("/moved?a=%26", "https://a:b@other.example:{port}/there")
    async with tls_server(handler, HOST, "other.example") as server:
        assert (await fetch(server)).body == GOOD
        assert server.seen() == [
            ("GET", f"{HOST}:{server.port}", "/.well-known/matrix/server"),
            ("GET", f"{HOST}:{server.port}", "/moved?a=%26"),
            ("GET", f"other.example:{server.port}", "/there"),
        ]
        assert server.server_names == [HOST, "other.example"]
        assert "Authorization" not in server.requests[2].headers


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://2130706433:{port}/", "2130706433 has no address"),
        ("https://127.1:{port}/", "127.1 has no address"),
        ("https://nowhere.example/", "nowhere.example has no address"),
        ("http://there.example:{port}/", "redirects to something else than HTTPS"),
        ("file:///etc/passwd", "redirects to something else than HTTPS"),
        (None, "redirects to something else than HTTPS"),
        ("https://[", "redirects to nowhere"),
        ("https://there.example:99999/", "redirects to nowhere"),
    ],
)
async def test_redirects_that_are_not_followed(location: str | None, reason: str) -> None:
    """A redirect to something else than HTTPS, or to no address, fails."""
    async with tls_server(redirecting(location), HOST) as server:
        with pytest.raises(RemoteUnreachable) as raised:
            await fetch(server)
        assert str(raised.value).endswith(reason)
        assert len(server.requests) == 1


async def test_a_document_that_is_too_large() -> None:
    """A document of more than 50 KiB is not read."""

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=json.dumps({"m.server": HOST, "x": "x" * 51_200}))

    async with tls_server(large, HOST) as server:
        with pytest.raises(RemoteUnreachable, match=r"^the answer is longer than 51200 bytes$"):
            await fetch(server)

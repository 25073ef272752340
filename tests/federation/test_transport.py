"""HTTP to addresses, against real servers over TLS."""

import asyncio
import gzip
import ipaddress
from pathlib import Path
from typing import Final

import pytest
import trustme
from aiohttp import web

from lamplighter.errors import ConfigError, RemoteUnreachable
from lamplighter.federation.discovery import Endpoint, Target
from lamplighter.federation.transport import tls_context
from tests.federation.tls import authority, open_transport, tls_server

NAME: Final = "there.example"
HERE: Final = ipaddress.ip_address("127.0.0.1")


async def echo(request: web.Request) -> web.Response:
    """Answer with the body of the request."""
    return web.Response(body=await request.read(), status=201, headers={"X-Seen": "yes"})


def target(*ports: int, host: str = f"{NAME}:8448", tls_name: str = NAME) -> Target:
    """Return a target on this machine."""
    return Target(host, tls_name, tuple(Endpoint(HERE, port) for port in ports))


async def closed_port() -> int:
    """Return a port without a listener."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_an_exchange() -> None:
    """Method, encoded path, headers and body arrive; status, headers and body come back."""
    async with tls_server(echo, NAME) as server, open_transport() as transport:
        answer = await transport.exchange(
            target(server.port), "PUT", "/a%2Fb?c=%20", headers={"X-A": "b"}, body=b"{}", limit=9
        )
        request = server.requests[0]
        assert (answer.status, answer.headers["X-Seen"], answer.body) == (201, "yes", b"{}")
        assert (request.method, request.raw_path) == ("PUT", "/a%2Fb?c=%20")
        assert (request.headers["Host"], request.headers["X-A"]) == ("there.example:8448", "b")
        assert server.server_names == [NAME]


async def test_connections_are_reused_by_name() -> None:
    """A connection is reused for the same name, and never for another name."""
    async with tls_server(echo, NAME, "other.example") as server, open_transport() as transport:
        for name in (NAME, NAME, "other.example"):
            await transport.exchange(target(server.port, tls_name=name), "GET", "/", limit=9)
        assert server.server_names == [NAME, "other.example"]


async def test_an_ip_address_is_verified_too() -> None:
    """A server that is named by its IP address needs a certificate for it, and gets no SNI."""
    async with tls_server(echo, "127.0.0.1") as server, open_transport() as transport:
        there = target(server.port, host="127.0.0.1", tls_name="127.0.0.1")
        assert (await transport.exchange(there, "GET", "/", limit=9)).status == 201
        assert server.server_names == [None]


@pytest.mark.parametrize("names", [("127.0.0.1",), ("other.example",)])
async def test_a_certificate_for_somebody_else(names: tuple[str, ...]) -> None:
    """A certificate must be for the expected name, not for the address."""
    async with tls_server(echo, *names) as server, open_transport() as transport:
        with pytest.raises(RemoteUnreachable, match="is not valid for 'there"):
            await transport.exchange(target(server.port), "GET", "/", limit=9)
        assert server.requests == []


async def test_an_unknown_authority() -> None:
    """A certificate of an unknown authority is refused, unless verification is off."""
    async with tls_server(echo, NAME, by=trustme.CA()) as server:
        async with open_transport() as transport:
            with pytest.raises(RemoteUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                await transport.exchange(target(server.port), "GET", "/", limit=9)
        async with open_transport(tls_context(verify=False)) as transport:
            assert (
                await transport.exchange(target(server.port), "GET", "/", limit=9)
            ).status == 201


async def test_an_extra_authority(tmp_path: Path) -> None:
    """An authority from a file is trusted as well as those of the machine."""
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(path)
    context = tls_context(verify=True, extra_ca_files=[path])
    async with tls_server(echo, NAME) as server, open_transport(context) as transport:
        assert (await transport.exchange(target(server.port), "GET", "/", limit=9)).status == 201


def test_a_file_of_authorities_that_is_none(tmp_path: Path) -> None:
    """A file that is missing, or holds no certificate, is a `ConfigError`."""
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="not a file of certificates"):
            tls_context(verify=True, extra_ca_files=[path])


async def test_the_next_endpoint() -> None:
    """If an endpoint has no listener, or another server's certificate, the next one is tried."""
    async with (
        tls_server(echo, "other.example") as other,
        tls_server(echo, NAME) as server,
        open_transport() as transport,
    ):
        there = target(await closed_port(), other.port, server.port)
        assert (await transport.exchange(there, "GET", "/", limit=9)).status == 201


async def test_nobody_listens() -> None:
    """If no endpoint accepts a connection, the error has the last reason."""
    async with open_transport() as transport:
        port = await closed_port()
        with pytest.raises(RemoteUnreachable, match=f"^there.example:8448: .*{port}"):
            await transport.exchange(target(port), "GET", "/", limit=9)


async def test_judged_at_the_last_moment() -> None:
    """The transport connects to no address that is not admitted."""
    async with tls_server(echo, NAME) as server:
        async with open_transport(admits=lambda address: False) as transport:
            with pytest.raises(RemoteUnreachable, match=r"^127\.0\.0\.1 may not be contacted$"):
                await transport.exchange(target(server.port), "GET", "/", limit=9)
        assert server.server_names == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_that_is_too_long(chunked: bool) -> None:
    """An answer is read up to the limit, with and without a `Content-Length`."""

    async def long(request: web.Request) -> web.Response:
        response = web.Response(body=b"x" * 11)
        if chunked:
            response.enable_chunked_encoding()
        return response

    async with tls_server(long, NAME) as server, open_transport() as transport:
        exact = await transport.exchange(target(server.port), "GET", "/", limit=11)
        assert exact.body == b"x" * 11
        with pytest.raises(RemoteUnreachable, match=r"^the answer is longer than 10 bytes$"):
            await transport.exchange(target(server.port), "GET", "/", limit=10)


async def test_an_answer_is_not_unpacked() -> None:
    """A compressed answer is not unpacked."""
    packed = gzip.compress(b"x" * 100_000)

    async def bomb(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with tls_server(bomb, NAME) as server, open_transport() as transport:
        answer = await transport.exchange(target(server.port), "GET", "/", limit=1000)
        assert answer.body == packed
        assert server.requests[0].headers["Accept-Encoding"] == "identity"


async def test_no_cookies() -> None:
    """A cookie that a server sets is not sent back."""

    async def bake(request: web.Request) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b; Path=/"})

    async with tls_server(bake, NAME) as server, open_transport() as transport:
        for _ in range(2):
            await transport.exchange(target(server.port), "GET", "/", limit=9)
        assert ["Cookie" in it.headers for it in server.requests] == [False, False]


async def test_an_answer_that_breaks_off() -> None:
    """If a connection breaks off, there is no answer, and the next endpoint is not tried."""

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with (
        tls_server(hang_up, NAME) as first,
        tls_server(echo, NAME) as second,
        open_transport() as transport,
    ):
        with pytest.raises(RemoteUnreachable):
            await transport.exchange(target(first.port, second.port), "POST", "/", limit=9)
        assert second.requests == []

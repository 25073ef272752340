"""The way to the homeserver over sockets: TCP, TLS and Unix sockets, and bodies of 100 MB."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import uvloop
from structlog.testing import capture_logs

from lamplighter.clock import SystemClock
from lamplighter.config import Address
from lamplighter.config.values import HomeserverUrl, parse_homeserver_url
from lamplighter.errors import HomeserverUnreachable
from lamplighter.homeserver.upstream.client import UpstreamClient, connect_to
from lamplighter.homeserver.upstream.forwarding import Forwarding
from lamplighter.web.listener import Listener
from lamplighter.web.server import matrix_server
from tests.federation.tls import authority

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PIECE: Final = bytes(range(256)) * 400
LARGE: Final = 1000 * len(PIECE)
LIMIT: Final = timedelta(seconds=30)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with its first line."""
    while line := await reader.readline():
        while await reader.readline() != b"\r\n":
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(line), line))
    writer.close()


async def fetch(url: HomeserverUrl) -> bytes:
    """Return what the homeserver at *url* answers, twice on one connection."""
    client = UpstreamClient(connect_to(url), b"hs", SystemClock())
    try:
        bodies = [(await client.fetch("GET", b"/a", [], time_limit=LIMIT)).body for _ in range(2)]
    finally:
        await client.close()
    return b"".join(bodies)


def port_of(server: asyncio.Server) -> int:
    """Return the port at which *server* listens."""
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_ways_to_a_homeserver(
    run: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A homeserver is reached over TCP, over TLS that the machine trusts, and at a Unix socket."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert("localhost").configure_cert(context)
    trusted = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(trusted)

    async def ask_all() -> None:
        path = tmp_path / "hs.sock"
        plain = await asyncio.start_server(echo, "127.0.0.1", 0)
        secure = await asyncio.start_server(echo, "localhost", 0, ssl=context)
        local = await asyncio.start_unix_server(echo, path)
        down = parse_homeserver_url(f"http://127.0.0.1:{port_of(plain)}")
        tls = parse_homeserver_url(f"https://localhost:{port_of(secure)}")
        async with plain, secure, local:
            for url in (down, parse_homeserver_url(f"unix:{path}")):
                assert await fetch(url) == 2 * b"GET /a HTTP/1.1\r\n"
            with capture_logs(), pytest.raises(HomeserverUnreachable):
                await fetch(tls)
            monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
            assert await fetch(tls) == 2 * b"GET /a HTTP/1.1\r\n"
        with capture_logs() as logs, pytest.raises(HomeserverUnreachable):
            await fetch(down)
        assert [line["event"] for line in logs] == ["the homeserver gives no answer"]

    run(ask_all())


@asynccontextmanager
async def front_of(serve: Serve) -> AsyncIterator[int]:
    """Give the port of a server that passes everything on to a homeserver that does *serve*."""
    clock = SystemClock()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as homeserver:
        url = parse_homeserver_url(f"http://127.0.0.1:{port_of(homeserver)}")
        client = UpstreamClient(connect_to(url), b"hs", clock)
        server = matrix_server(Forwarding(client, lambda _: False), clock)
        listener = Listener(server, Address(f"127.0.0.1:{port}"))
        await listener.start()
        try:
            yield port
        finally:
            await listener.stop()
            await client.close()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Return the head of a message."""
    return await reader.readuntil(b"\r\n\r\n")


async def count(reader: asyncio.StreamReader) -> int:
    """Return how many bytes of a large body come, which are those of `PIECE` again and again."""
    came = 0
    while came < LARGE:
        part = await reader.readexactly(len(PIECE))
        assert part == PIECE
        came += len(part)
    return came


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_large_bodies(run: Callable[..., None]) -> None:
    """A body of 100 MB passes in either direction, to the byte."""

    async def send(writer: asyncio.StreamWriter) -> None:
        for _ in range(LARGE // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await read_head(reader)).startswith(b"GET"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
            await send(writer)
        else:
            body = b"%d" % await count(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async def transfer() -> None:
        async with front_of(serve) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /a HTTP/1.1\r\nHost: hs\r\n\r\n")
            await read_head(reader)
            assert await count(reader) == LARGE
            writer.write(b"PUT /a HTTP/1.1\r\nHost: hs\r\nContent-Length: %d\r\n\r\n" % LARGE)
            await send(writer)
            await read_head(reader)
            assert await reader.readexactly(9) == b"102400000"
            writer.close()
            await writer.wait_closed()

    run(transfer())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_early_refusal(run: Callable[..., None]) -> None:
    """A client that still sends its upload reads why the homeserver refuses it."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        while await reader.read(65536):
            pass
        writer.close()

    async def upload() -> None:
        async with front_of(refuse) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"PUT /a HTTP/1.1\r\nHost: hs\r\nContent-Length: 900000\r\n\r\n")
            writer.write(b"x" * 100_000)
            answer = await read_head(reader)
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert await reader.read() == b"{}"
            writer.close()
            await writer.wait_closed()

    run(upload())

"""Addresses that cannot be listened on, and clients that do not come to an end."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lamplighter.clock import SystemClock
from lamplighter.config import Address
from lamplighter.devtools.http import Message, Receive, Send
from lamplighter.errors import ConfigError
from lamplighter.web.application import build_application
from lamplighter.web.listener import Listener
from lamplighter.web.routes import json_response


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Nobody asks for anything here."""


def listener(address: str) -> Listener:
    """Return what would serve at *address*."""
    return Listener(application, Address(address), SystemClock())


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which somebody listens, who would share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_an_address_in_use(taken_port: int) -> None:
    """An address at which somebody listens is an error of the configuration, also if they share."""
    address = f"127.0.0.1:{taken_port}"
    with pytest.raises(ConfigError) as refused:
        await listener(address).start()
    assert str(refused.value) == f"listen: {address} is in use"


@pytest.mark.parametrize("address", ["192.0.2.1:8008", "no-such-host.invalid:8008"])
async def test_an_address_of_somebody_else(address: str) -> None:
    """An address that is not this machine's, or that no name stands for, is one as well."""
    with pytest.raises(ConfigError) as refused:
        await listener(address).start()
    assert str(refused.value).startswith(f"listen: {address} cannot be used: ")


async def test_stopping_before_it_starts(taken_port: int) -> None:
    """What does not listen, or could not, stops without complaint."""
    unused = listener(f"127.0.0.1:{taken_port}")
    await unused.stop()
    with pytest.raises(ConfigError):
        await unused.start()
    await unused.stop()


async def test_starting_and_stopping() -> None:
    """Between `start` and `stop` the address takes connections; after that it is free again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = listener(f"127.0.0.1:{port}")
    await serving.start()
    with socket.socket() as client:
        client.connect(("127.0.0.1", port))
    await serving.stop()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))


HEAD = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


async def answer(port: int, sent: bytes) -> bytes:
    """Send that and no more; return what comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (HEAD[:20], b""),
        (HEAD, b"HTTP/1.1 408 Request Timeout"),
        (HEAD + b'{"a"', b"HTTP/1.1 408 Request Timeout"),
        (HEAD + b'{"a": 12}', b"HTTP/1.1 200 OK"),  # and nothing after it
    ],
)
async def test_who_takes_too_long(sent: bytes, status: bytes) -> None:
    """Nobody is waited for without end: not for a head, a body, nor another request."""

    async def read(request: Request) -> Response:
        return json_response(await request.json())

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = Listener(
        build_application([Route("/", read, methods=["PUT"])]),
        Address(f"127.0.0.1:{port}"),
        SystemClock(),
        slowest=timedelta(milliseconds=50),
    )
    await serving.start()
    assert (await answer(port, sent)).partition(b"\r\n")[0] == status
    await serving.stop()

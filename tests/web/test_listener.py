"""Addresses that cannot be listened on, and serving at one that can."""

import asyncio
import os
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Send
from structlog.testing import capture_logs

from lamplighter.clock import Clock, SystemClock, next_turn
from lamplighter.config import Address
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import ConfigError
from lamplighter.web.application import Application
from lamplighter.web.http.exchange import Exchange
from lamplighter.web.http.settings import MOST_CONNECTIONS, ConnectionRoom
from lamplighter.web.listener import Certificate, Listener, room_within
from lamplighter.web.server import matrix_server
from tests.federation.tls import authority, trusting_context
from tests.web.clients import free_port
from tests.web.http.peer import LeavingClients


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Nobody asks for anything here."""


def listener(address: str) -> Listener:
    """Return what would serve at *address*."""
    return Listener(matrix_server(application, SystemClock()), Address(address))


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port at which another program listens, which would share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_an_address_in_use(taken_port: int) -> None:
    """An address in use is an error of the configuration, also if it could be shared."""
    address = f"127.0.0.1:{taken_port}"
    with pytest.raises(ConfigError) as refused:
        await listener(address).start()
    assert (
        str(refused.value)
        == f"listen: {address} is in use: give another address, or end what listens there"
    )


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
    port = free_port()
    serving = listener(f"127.0.0.1:{port}")
    await serving.start()
    with socket.socket() as client:
        client.connect(("127.0.0.1", port))
    await serving.stop()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))


# Clients at real sockets, on the event loop that the server has and on that of the tests.


class World:
    """A listener, and clients that speak to it."""

    def __init__(
        self,
        certificate: Certificate | None = None,
        *,
        room: ConnectionRoom | None = None,
        clock: Clock | None = None,
        slowest: timedelta = timedelta(seconds=30),
    ) -> None:
        self.waiting: list[Exchange] = []
        self.gone: list[str] = []
        #: One for each connection that the server has not taken.
        self.refused: list[None] = []
        self._trust = None if certificate is None else trusting_context()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = free_port()
        server = matrix_server(
            Application([Route("/echo", echo, methods=["PUT"])]),
            clock or SystemClock(),
            room=room,
            slowest=slowest,
            count_refused=lambda: self.refused.append(None),
            find_direct=lambda request: self._poll if request.target.path == "/poll" else None,
        )
        address = Address(f"127.0.0.1:{self.port}")
        self.listener = Listener(server, address, certificate=certificate)

    def _poll(self, exchange: Exchange) -> None:
        self.waiting.append(exchange)
        exchange.waiter = LeavingClients(exchange.query, self.gone, lost=[])

    async def play(self, story: "Story") -> None:
        """Go through *story* while the listener listens."""
        await self.listener.start()
        await story(self)
        for writer in self._writers:
            writer.close()
        await self.listener.stop()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection of a client, which is closed at the end of the story."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self._trust,
            server_hostname=None if self._trust is None else "localhost",
        )
        self._writers.append(writer)
        return reader, writer

    async def polls(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection on which a poll waits."""
        reader, writer = await self.connect()
        writer.write(b"GET /poll?a HTTP/1.1\r\n\r\n")
        await until(lambda: bool(self.waiting))
        return reader, writer


Story = Callable[[World], Coroutine[None, None, None]]
#: Goes through a story with the world that the function makes.
Run = Callable[[Callable[[], World], Story], None]


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop])
def run(request: pytest.FixtureRequest) -> Run:
    """Goes through a story on a loop of its own, which has nothing to complain of."""

    async def play(make: Callable[[], World], story: Story) -> None:
        await make().play(story)

    def run(make: Callable[[], World], story: Story) -> None:
        complaints: list[object] = []
        with asyncio.Runner(loop_factory=request.param) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda _loop, context: complaints.append(context))
            runner.run(play(make, story))
        assert complaints == []

    return run


async def until(is_so: Callable[[], bool]) -> None:
    """Return once something is so."""
    while not is_so():
        await asyncio.to_thread(lambda: None)


async def echo(request: Request) -> Response:
    """Answer with the body of the request."""
    return Response(await request.body())


async def receive_answer(reader: asyncio.StreamReader) -> bytes:
    """Return the status line and the body of one response."""
    head = b"HTTP/1.1 100"
    while head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    [length] = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-len")]
    return head.split(b"\r\n")[0] + b" " + await reader.readexactly(length)


@pytest.fixture(params=["plain", "TLS"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Certificate | None:
    """What a listener proves who it is with, or nothing."""
    return None if request.param == "plain" else issued_to_localhost(tmp_path)


def issued_to_localhost(tmp_path: Path) -> Certificate:
    """Return a certificate that clients of `World` trust."""
    issued = authority().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return Certificate(tmp_path / "chain.pem", tmp_path / "key.pem")


def test_serving(run: Run, certificate: Certificate | None) -> None:
    """Polls and other requests are served on one connection, with TLS and without."""

    async def story(world: World) -> None:
        reader, writer = await world.polls()
        body = b"x" * 1_000_000
        writer.write(b"PUT /echo HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        world.waiting[0].answer(200, b"{}")
        assert await receive_answer(reader) == b"HTTP/1.1 200 OK {}"
        assert await receive_answer(reader) == b"HTTP/1.1 200 OK " + body

    run(lambda: World(certificate), story)


def test_leaving(run: Run, certificate: Certificate | None) -> None:
    """The endpoint hears of a client that goes away."""

    async def story(world: World) -> None:
        _reader, writer = await world.polls()
        writer.close()
        await until(lambda: bool(world.gone))
        world.waiting[0].answer(200, b"{}")
        assert world.gone == ["a"]

    run(lambda: World(certificate), story)


def test_half_closing(run: Run) -> None:
    """A client that only listens has its answer, and then the end."""

    async def story(world: World) -> None:
        reader, writer = await world.polls()
        writer.write_eof()
        await until(lambda: bool(world.gone))
        world.waiting[0].answer(200, b"{}")
        assert await receive_answer(reader) == b"HTTP/1.1 200 OK {}"
        assert await reader.read() == b""

    run(World, story)


def test_nonsense(run: Run, certificate: Certificate | None) -> None:
    """A client that sends nonsense, and much of it, hears what was wrong before the end."""

    async def story(world: World) -> None:
        reader, writer = await world.connect()
        writer.write(b"nonsense\r\n" * (1 if certificate else 50_000))
        assert (await receive_answer(reader)).startswith(b"HTTP/1.1 400 Bad Request {")

    run(lambda: World(certificate), story)


def test_stopping_amid_polls(run: Run, certificate: Certificate | None) -> None:
    """A server that stops takes no connection, and waits for the answers that are under way."""

    async def story(world: World) -> None:
        idle, _ = await world.connect()
        reader, _ = await world.polls()
        stopping = asyncio.ensure_future(world.listener.stop())
        assert await idle.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await world.connect()
        world.waiting[0].answer(200, b"{}")
        assert b"\r\nconnection: close\r\n" in await reader.read()
        await stopping

    run(lambda: World(certificate), story)


def test_a_crowd(run: Run) -> None:
    """Of hundreds of clients that come at once, many are taken in each turn of the event loop."""

    async def story(world: World) -> None:
        crowd = [socket.create_connection(("127.0.0.1", world.port)) for _ in range(200)]
        for client in crowd:
            client.sendall(b"GET /poll HTTP/1.1\r\n\r\n")
        turns = 0
        while len(world.waiting) < len(crowd):
            await next_turn()
            turns += 1
        assert turns < 50
        for client in crowd:
            client.close()
        await until(lambda: len(world.gone) == len(crowd))
        for exchange in world.waiting:  # the listener stops once all requests are answered
            exchange.answer(200, b"{}")

    run(World, story)


def test_no_descriptor_left(run: Run) -> None:
    """Where the process has no descriptor left, a connection waits; that is counted and logged, and
    the listener tries again after a second, and not before.
    """
    clock = FakeClock()

    async def story(world: World) -> None:
        with socket.socket() as client, capture_logs() as logs:
            with no_descriptors():
                client.connect(("127.0.0.1", world.port))
                for _ in range(100):
                    await next_turn()
            assert (len(world.refused), [it["log_level"] for it in logs]) == (1, ["error"])
            client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            clock.advance(seconds=1)
            reader, writer = await asyncio.open_connection(sock=client)
            assert (await reader.read()).startswith(b"HTTP/1.1 404 ")
            writer.close()

    run(lambda: World(clock=clock), story)


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leave the process without a free descriptor until the block ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    copies = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(copies) + 20, hard))
    try:
        with suppress(OSError):
            while True:
                copies.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for copy in copies:
            os.close(copy)


def test_handshakes_have_places(run: Run, tmp_path: Path) -> None:
    """A client that is silent instead of a handshake takes a place, which it gives back."""

    async def story(world: World) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(3)]
        assert await silent[2][0].read() == b""
        for _, writer in silent:
            writer.close()
        while True:
            with suppress(ConnectionError):
                await world.connect()
                break

    run(lambda: World(issued_to_localhost(tmp_path), room=ConnectionRoom(2)), story)


# Clients that do not come to an end.

HEAD = b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


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
    """The server waits for nothing without end: not for a head, a body, nor another request."""

    async def story(world: World) -> None:
        reader, writer = await world.connect()
        writer.write(sent)
        assert (await reader.read()).partition(b"\r\n")[0] == status

    await World(slowest=timedelta(milliseconds=50)).play(story)


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [
        (1, 1),
        (100, 50),
        (1_024, 824),
        (100_000, 99_800),
        (10**9, MOST_CONNECTIONS),
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
    ],
)
def test_connections_leave_descriptors(descriptors: int, connections: int) -> None:
    """Connections leave 200 descriptors for files, or half of them where there are few."""
    assert room_within(descriptors) == connections

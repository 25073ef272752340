"""Asking the homeserver: whole answers, connections that are used again, and what goes wrong."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import HomeserverTooSlow, HomeserverUnreachable
from lamplighter.futures import retrieve
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import UpstreamAnswer
from lamplighter.web.http.request import Headers
from tests.homeserver.upstream.wires import FakeHomeserver, Wire
from tests.web.http.peer import settle

LIMIT = timedelta(seconds=30)
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = UpstreamAnswer(200, [(b"content-length", b"2")], b"{}")


def ask(
    upstream: UpstreamClient, method: str = "GET", body: bytes = b""
) -> "asyncio.Task[UpstreamAnswer]":
    """Begin to ask for /a. A test may end before there is an answer."""
    asked = asyncio.ensure_future(upstream.fetch(method, b"/a", [], body, time_limit=LIMIT))
    asked.add_done_callback(retrieve)
    return asked


async def answered(upstream: UpstreamClient, homeserver: FakeHomeserver) -> None:
    """Have a request answered."""
    asked = ask(upstream)
    await settle()
    homeserver.wire.send(OK)
    assert await asked == ANSWER


async def test_an_answer(upstream: UpstreamClient, homeserver: FakeHomeserver) -> None:
    """A request goes out as it was given, and its answer comes back whole."""
    headers = [(b"x-a", b"1"), (b"host", b"there")]
    asked = asyncio.ensure_future(
        upstream.fetch("PUT", b"/a%20b?c=%7e", headers, b"{1}", time_limit=LIMIT)
    )
    await settle()
    assert homeserver.wire.received == (
        "PUT /a%20b?c=%7e HTTP/1.1\r\nx-a: 1\r\nhost: there\r\ncontent-length: 3\r\n\r\n{1}"
    )
    homeserver.wire.send(
        "HTTP/1.1 201 Created\r\nX-B: c \r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"
    )
    homeserver.wire.send("a\r\n2\r\nbc\r\n0\r\n\r\n")
    answer = UpstreamAnswer(201, [(b"x-b", b"c"), (b"transfer-encoding", b"chunked")], b"abc")
    assert await asked == answer


async def test_a_connection_is_used_again(
    upstream: UpstreamClient, homeserver: FakeHomeserver
) -> None:
    """The next request takes the connection of the last one, and one at the same time another."""
    await answered(upstream, homeserver)
    await answered(upstream, homeserver)
    assert len(homeserver.wires) == 1
    both = [ask(upstream), ask(upstream)]
    await settle()
    assert len(homeserver.wires) == 2
    for wire in homeserver.wires:
        wire.send(OK)
    assert await asyncio.gather(*both) == [ANSWER, ANSWER]


async def test_a_connection_that_has_died(
    upstream: UpstreamClient, homeserver: FakeHomeserver
) -> None:
    """A read whose used connection ends without a byte of an answer is sent again, once."""
    await answered(upstream, homeserver)
    asked = ask(upstream)
    await settle()
    homeserver.wires[0].lose()
    await settle()
    assert len(homeserver.wires) == 2
    assert homeserver.wire.received == "GET /a HTTP/1.1\r\nhost: hs.example\r\n\r\n"
    homeserver.wire.lose()
    with capture_logs(), pytest.raises(HomeserverUnreachable):
        await asked
    assert len(homeserver.wires) == 2


@pytest.mark.parametrize(
    ("method", "body", "begins"),
    [
        ("PUT", b"{}", ""),
        ("POST", b"", ""),
        ("DELETE", b"", ""),
        ("GET", b"{}", ""),
        ("GET", b"", "H"),
    ],
)
async def test_what_is_never_sent_again(
    upstream: UpstreamClient, homeserver: FakeHomeserver, method: str, body: bytes, begins: str
) -> None:
    """A write, a request with a body, and one whose answer has begun go out once."""
    await answered(upstream, homeserver)
    asked = ask(upstream, method, body)
    await settle()
    if begins:
        homeserver.wire.send(begins)
    homeserver.wire.lose()
    with capture_logs() as logs, pytest.raises(HomeserverUnreachable):
        await asked
    assert len(homeserver.wires) == 1
    assert logs == [
        {
            "event": "the homeserver gives no answer",
            "problem": "it has closed the connection",
            "more": 0,
            "log_level": "warning",
        }
    ]


async def test_a_new_connection_that_dies(
    upstream: UpstreamClient, homeserver: FakeHomeserver
) -> None:
    """A read on a new connection is not sent again: the homeserver has seen it."""
    asked = ask(upstream)
    await settle()
    homeserver.wire.lose()
    with capture_logs(), pytest.raises(HomeserverUnreachable):
        await asked
    assert len(homeserver.wires) == 1


@pytest.mark.parametrize("happens", [Wire.close, Wire.lose, lambda it: it.send(OK)])
async def test_an_idle_connection_that_ends(
    upstream: UpstreamClient, homeserver: FakeHomeserver, happens: Callable[[Wire], None]
) -> None:
    """A connection that ends, or on which the homeserver speaks unasked, is used no more."""
    await answered(upstream, homeserver)
    asked = ask(upstream, "PUT")  # it begins before the event loop says that it is lost
    happens(homeserver.wire)
    await settle()
    assert (len(homeserver.wires), homeserver.wires[0].is_closed) == (2, True)
    homeserver.wire.send(OK)
    assert await asked == ANSWER


async def test_idle_connections_are_closed(
    upstream: UpstreamClient, homeserver: FakeHomeserver, clock: FakeClock
) -> None:
    """A connection waits for 50 seconds, each for itself, and without one there is no timer."""
    both = [ask(upstream), ask(upstream)]
    await settle()
    first, second = homeserver.wires
    first.send(OK)
    await settle()
    clock.advance(seconds=20)
    second.send(OK)
    await asyncio.gather(*both)
    ends = []
    for seconds in (29.9, 0.1, 19.9, 0.1):
        clock.advance(seconds=seconds)
        await settle()
        ends.append((first.is_closed, second.is_closed))
    assert ends == [(False, False), (True, False), (True, False), (True, True)]
    assert clock.next_timer() is None


async def test_time_limits(
    upstream: UpstreamClient, homeserver: FakeHomeserver, clock: FakeClock
) -> None:
    """A connection has 10 seconds to be made; an answer the caller's time, and up to 5 seconds."""
    homeserver.takes.clear()
    asked = ask(upstream)
    await settle()
    clock.advance(seconds=10)
    with capture_logs(), pytest.raises(HomeserverTooSlow):
        await asked
    homeserver.takes.set()
    asked = ask(upstream)
    await settle()
    homeserver.wire.send(OK[:-1])
    clock.advance(seconds=34.9)
    await settle()
    assert not asked.done()
    clock.advance(seconds=0.1)
    with capture_logs(), pytest.raises(HomeserverTooSlow):
        await asked
    await settle()
    assert (homeserver.wire.is_closed, clock.next_timer()) == (True, None)


async def test_a_homeserver_that_is_down(
    upstream: UpstreamClient, homeserver: FakeHomeserver
) -> None:
    """No connection is no answer, which is logged once a minute; later it may go well again."""
    homeserver.problem = ConnectionRefusedError("refused")
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(HomeserverUnreachable):
                await ask(upstream)
    assert [(line["problem"], line["log_level"]) for line in logs] == [("refused", "warning")]
    homeserver.problem = None
    await answered(upstream, homeserver)


async def test_connections_are_bounded(
    upstream: UpstreamClient, homeserver: FakeHomeserver
) -> None:
    """When all connections are in use, the next request fails at once; one that ends makes room."""
    asked = [ask(upstream) for _ in range(3)]
    await settle()
    with capture_logs(), pytest.raises(HomeserverUnreachable):
        await ask(upstream)
    homeserver.wires[1].lose()
    with capture_logs(), pytest.raises(HomeserverUnreachable):
        await asked[1]
    asked.append(ask(upstream))
    await settle()
    assert len(homeserver.wires) == 4


@pytest.mark.parametrize("is_connecting", [True, False])
async def test_a_caller_that_leaves(
    upstream: UpstreamClient, homeserver: FakeHomeserver, is_connecting: bool
) -> None:
    """Where the caller is cancelled, the connection is closed and gives its place back."""
    for count in range(4):
        if is_connecting:
            homeserver.takes.clear()
        asked = ask(upstream)
        await settle()
        asked.cancel()
        await settle()
        assert [it.is_closed for it in homeserver.wires] == [True] * (
            0 if is_connecting else count + 1
        )


async def test_a_connection_for_nobody(homeserver: FakeHomeserver, clock: FakeClock) -> None:
    """A connection that is made at the moment when its caller leaves is closed."""

    async def connect(protocol: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        transport = await homeserver.connect(protocol)
        asked.cancel()
        return transport

    client = UpstreamClient(connect, b"hs.example", clock)
    asked = ask(client)
    await settle()
    assert (asked.cancelled(), homeserver.wire.is_closed) == (True, True)
    await client.close()


async def test_closing(homeserver: FakeHomeserver, clock: FakeClock) -> None:
    """A client that is closed ends its requests and connections, and takes no more requests."""
    client = UpstreamClient(homeserver.connect, b"hs.example", clock)
    await answered(client, homeserver)
    both = [ask(client), ask(client)]
    await settle()
    homeserver.wires[0].send(OK)
    await client.close()
    ended = await asyncio.gather(*both, ask(client), return_exceptions=True)
    assert [type(it) for it in ended] == [
        UpstreamAnswer,
        HomeserverUnreachable,
        HomeserverUnreachable,
    ]
    assert [it.is_closed for it in homeserver.wires] == [True, True]
    assert clock.next_timer() is None


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("get", b"/", []),
        ("GET /b", b"/", []),
        ("GET", b"", []),
        ("GET", b"a", []),
        ("GET", b"/ HTTP/1.1", []),
        ("GET", b"/\r\n", []),
        ("GET", b"/", [(b"a", b"b\r\nc: d")]),
        ("GET", b"/", [(b"a\n", b"b")]),
    ],
)
async def test_requests_within_requests(
    upstream: UpstreamClient,
    homeserver: FakeHomeserver,
    method: str,
    target: bytes,
    headers: Headers,
) -> None:
    """Nothing goes out of which another request could be read."""
    with pytest.raises(ValueError):
        await upstream.fetch(method, target, headers, time_limit=LIMIT)
    assert homeserver.wires == []


@pytest.mark.parametrize("given", [b"content-length", b"transfer-encoding", b"connection"])
async def test_one_framing(
    upstream: UpstreamClient, homeserver: FakeHomeserver, given: bytes
) -> None:
    """The framing of the body is the client's alone, whatever the caller's headers say."""
    asked = asyncio.ensure_future(
        upstream.fetch("PUT", b"/", [(given, b"7")], b"abc", time_limit=LIMIT)
    )
    await settle()
    assert homeserver.wire.received == (
        "PUT / HTTP/1.1\r\nhost: hs.example\r\ncontent-length: 3\r\n\r\nabc"
    )
    asked.cancel()

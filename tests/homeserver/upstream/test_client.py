"""Asking the homeserver: whole answers, connections that are used again, and what goes wrong."""

import asyncio
from datetime import timedelta

from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import UpstreamAnswer
from tests.homeserver.upstream.wires import FakeHomeserver
from tests.web.http.peer import settle

LIMIT = timedelta(seconds=30)
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = UpstreamAnswer(200, [(b"content-length", b"2")], b"{}")


def ask(
    upstream: UpstreamClient, method: str = "GET", body: bytes = b""
) -> "asyncio.Task[UpstreamAnswer]":
    """Begin to ask for /a."""
    return asyncio.ensure_future(upstream.fetch(method, b"/a", [], body, time_limit=LIMIT))


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
    for _ in range(2):
        asked = ask(upstream)
        await settle()
        homeserver.wire.send(OK)
        assert await asked == ANSWER
    assert len(homeserver.wires) == 1
    both = [ask(upstream), ask(upstream)]
    await settle()
    assert len(homeserver.wires) == 2
    for wire in homeserver.wires:
        wire.send(OK)
    assert await asyncio.gather(*both) == [ANSWER, ANSWER]

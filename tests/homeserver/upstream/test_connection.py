"""What a homeserver may answer, and what it may not."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.errors import HomeserverUnreachable
from lamplighter.futures import retrieve
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import MOST_ANSWER_HEAD, UpstreamAnswer
from tests.homeserver.upstream.wires import FakeHomeserver
from tests.web.http.peer import settle

LIMIT = timedelta(seconds=30)
LONG = "x" * 1000
FULL = MOST_ANSWER_HEAD // 1000 + 3


async def begin(
    upstream: UpstreamClient, method: str = "GET", most: int = 9
) -> "asyncio.Task[UpstreamAnswer]":
    """Ask for something, and return once the homeserver has the request.

    A test may end before there is an answer.
    """
    asked = asyncio.ensure_future(upstream.fetch(method, b"/", [], time_limit=LIMIT, most=most))
    asked.add_done_callback(retrieve)
    await settle()
    return asked


@pytest.mark.parametrize("closes", [False, True])
async def test_a_head_that_came_before(
    upstream: UpstreamClient, homeserver: FakeHomeserver, closes: bool
) -> None:
    """The same head says the same again, of the connection too; and to HEAD it has no body."""
    connection = "Connection: close\r\n" if closes else ""
    head = f"HTTP/1.1 207 x\r\nA: b\r\n{connection}Content-Length: 2\r\n\r\n"
    found = []
    for method, body in (("GET", "ab"), ("GET", "cd"), ("HEAD", ""), ("GET", "ef")):
        asked = await begin(upstream, method)
        homeserver.wire.send(head + body)
        answer = await asked
        found.append((answer.status, answer.headers[0], answer.body))
    assert found == [(207, (b"a", b"b"), it) for it in (b"ab", b"cd", b"", b"ef")]
    assert len(homeserver.wires) == (4 if closes else 2)


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize(
    ("method", "answer", "status", "headers", "body", "again"),
    [
        ("GET", "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nab", 200, "a: b", "ab", True),
        ("GET", "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", 299, "", "", True),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "", "a", False),
        (
            "GET",
            "HTTP/1.1 200\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            200,
            "c",
            "",
            False,
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;x\r\na\r\n0\r\nB: c\r\n\r\n",
            200,
            "",
            "a",
            True,
        ),
        ("GET", "HTTP/1.1 204 No\r\n\r\n", 204, "", "", True),
        ("GET", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", 304, "", "", True),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, "", "", False),
        (
            "PUT",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nX: y\r\n\r\n"
            "HTTP/1.1 201 x\r\nA: b\r\nContent-Length: 1\r\n\r\na",
            201,
            "a: b",
            "a",
            True,
        ),
    ],
)
async def test_answers(
    upstream: UpstreamClient,
    homeserver: FakeHomeserver,
    piece: int,
    method: str,
    answer: str,
    status: int,
    headers: str,
    body: str,
    again: bool,
) -> None:
    """An answer is read however it arrives, and then the connection is used again if it may be."""
    asked = await begin(upstream, method)
    for start in range(0, len(answer), piece):
        homeserver.wire.send(answer[start : start + piece])
    read = await asked
    assert (read.status, read.body) == (status, body.encode())
    assert not headers.startswith("a") or (b"a", b"b") in read.headers
    await settle()
    assert homeserver.wire.is_closed != again


@pytest.mark.parametrize(
    "answer",
    [
        "\0",
        "hello\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    ],
)
async def test_nonsense(upstream: UpstreamClient, homeserver: FakeHomeserver, answer: str) -> None:
    """What is not HTTP, and an answer whose end two readers could see differently, is no answer."""
    asked = await begin(upstream)
    homeserver.wire.send(answer)
    with capture_logs(), pytest.raises(HomeserverUnreachable):
        await asked
    await settle()
    assert homeserver.wire.is_closed


@pytest.mark.parametrize(
    ("begins", "repeats"),
    [
        ("HTTP/1.1 200 ", LONG),
        ("HTTP/1.1 200 OK\r\nA: ", LONG),
        ("HTTP/1.1 200 OK\r\n", f"A: {LONG}\r\n"),
        ("", f"HTTP/1.1 100 Continue\r\nA: {LONG}\r\n\r\n"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n" * 70),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", LONG),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", LONG),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", f"A: {LONG}\r\n"),
    ],
)
async def test_endless_heads(
    upstream: UpstreamClient, homeserver: FakeHomeserver, begins: str, repeats: str
) -> None:
    """Nothing but a body makes an answer longer than a limit: then it is no answer."""
    asked = await begin(upstream, most=10_000_000)
    homeserver.wire.send(begins)
    for _ in range(FULL):
        if not homeserver.wire.transport.is_closing():
            homeserver.wire.send(repeats)
    with capture_logs() as logs, pytest.raises(HomeserverUnreachable):
        await asked
    assert [it["problem"] for it in logs] == ["the head of its answer is too long"]


@pytest.mark.parametrize(
    "head", ["Content-Length: 13", "Transfer-Encoding: chunked", "Connection: close"]
)
async def test_endless_bodies(
    upstream: UpstreamClient, homeserver: FakeHomeserver, head: str
) -> None:
    """A body that is longer than the caller wants fails, as soon as it is."""
    asked = await begin(upstream)
    homeserver.wire.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n")
    homeserver.wire.send("a\r\n0123456789")
    with capture_logs() as logs, pytest.raises(HomeserverUnreachable):
        await asked
    assert [it["problem"] for it in logs] == ["its answer is longer than it may be"]


@pytest.mark.parametrize("more", ["c", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\0"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_more_than_an_answer(
    upstream: UpstreamClient, homeserver: FakeHomeserver, more: str, at_once: bool
) -> None:
    """What follows an answer is not the answer to the next request: the connection is closed."""
    asked = await begin(upstream)
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
    for part in (answer + more,) if at_once else (answer, more):
        homeserver.wire.send(part)
    assert (await asked).body == b"ab"
    await settle()
    assert homeserver.wire.is_closed


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    ],
)
async def test_half_an_answer(
    upstream: UpstreamClient, homeserver: FakeHomeserver, answer: str
) -> None:
    """An answer that does not come to its end is none."""
    asked = await begin(upstream, "PUT")
    if answer:
        homeserver.wire.send(answer)
    homeserver.wire.close()
    with capture_logs(), pytest.raises(HomeserverUnreachable):
        await asked


@pytest.mark.parametrize("is_lost", [False, True])
async def test_an_answer_without_a_length(
    upstream: UpstreamClient, homeserver: FakeHomeserver, is_lost: bool
) -> None:
    """An answer of unknown length is whole when the connection is closed, not when it breaks."""
    asked = await begin(upstream)
    homeserver.wire.send("HTTP/1.1 200 OK\r\n\r\nab")
    if is_lost:
        homeserver.wire.lose()
        with capture_logs(), pytest.raises(HomeserverUnreachable):
            await asked
    else:
        homeserver.wire.close()
        assert (await asked).body == b"ab"

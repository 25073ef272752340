"""How long a response is, and how its client knows."""

from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.web.http.peer import DATE, Peer, Site, settle

Messages = list[dict[str, Any]]

ONE_PIECE: Messages = [{"type": "http.response.body", "body": b"abc"}]
TWO_PIECES: Messages = [
    {"type": "http.response.body", "body": b"ab", "more_body": True},
    {"type": "http.response.body", "more_body": True},
    {"type": "http.response.body", "body": b"c"},
]
NOTHING: Messages = [{"type": "http.response.body"}]


def start(status: int = 200, **headers: str) -> dict[str, Any]:
    """Return the message that begins a response."""
    fields = [(name.replace("_", "-").encode(), it.encode()) for name, it in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": fields}


async def answer(site: Site, peer: Peer, request: str, messages: Messages) -> str:
    """Return what is sent for *messages*, without what every response begins with."""

    async def send_all(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    site.application.handle = send_all
    peer.send(request)
    await settle()
    line, date, rest = peer.received.split("\r\n", 2)
    assert date + "\r\n" == DATE
    return f"{line.removeprefix('HTTP/1.1 ')}\r\n{rest}"


@pytest.mark.parametrize(
    ("request_line", "messages", "expected"),
    [
        ("GET / HTTP/1.1", [start(a="b"), *ONE_PIECE], "a: b\r\ncontent-length: 3\r\n\r\nabc"),
        (
            "GET / HTTP/1.1",
            [start(), *TWO_PIECES],
            "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1",
            [start(Content_Length="3"), *TWO_PIECES],
            "Content-Length: 3\r\n\r\nabc",
        ),
        ("GET / HTTP/1.0", [start(), *TWO_PIECES], "connection: close\r\n\r\nabc"),
        (
            "GET / HTTP/1.0",
            [start(), *ONE_PIECE],
            "content-length: 3\r\nconnection: close\r\n\r\nabc",
        ),
        ("HEAD / HTTP/1.1", [start(content_length="3"), *NOTHING], "content-length: 3\r\n\r\n"),
        ("HEAD / HTTP/1.1", [start(content_length="3"), *ONE_PIECE], "content-length: 3\r\n\r\n"),
        ("HEAD / HTTP/1.1", [start(), *TWO_PIECES], "\r\n"),
        ("GET / HTTP/1.1", [start(), *NOTHING], "content-length: 0\r\n\r\n"),
    ],
)
async def test_length(
    site: Site, peer: Peer, request_line: str, messages: Messages, expected: str
) -> None:
    """The length is as said, or as known, else in chunks; HTTP/1.0 reads to the end."""
    answered = await answer(site, peer, f"{request_line}\r\n\r\n", messages)
    assert answered == f"200 OK\r\n{expected}"
    assert peer.is_closed == request_line.endswith("1.0")


@pytest.mark.parametrize("status", [204, 304])
async def test_without_a_body(site: Site, peer: Peer, status: int) -> None:
    """Responses of some kinds have no body, even if the application sends one."""
    answered = await answer(site, peer, "GET / HTTP/1.1\r\n\r\n", [start(status), *ONE_PIECE])
    assert answered.split("\r\n", 1)[1] == "\r\n"


async def test_what_is_ours(site: Site, peer: Peer) -> None:
    """An application does not say what becomes of the connection."""
    ours = start(Connection="close", Transfer_Encoding="gzip", Keep_Alive="5")
    answered = await answer(site, peer, "GET / HTTP/1.1\r\n\r\n", [ours, *NOTHING])
    assert answered == "200 OK\r\ncontent-length: 0\r\n\r\n"
    assert not peer.is_closed


async def test_a_date_of_the_application(site: Site, peer: Peer) -> None:
    """An answer that an application passes on has the date that it came with, and no other."""

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (start(299, Date="today"), *NOTHING):
            await send(message)

    site.application.handle = pass_on
    peer.send("GET / HTTP/1.1\r\n\r\n")
    await settle()
    assert peer.received == "HTTP/1.1 299 \r\nDate: today\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "messages",
    [
        [start(), start()],
        ONE_PIECE,
        [start(content_length="2"), *ONE_PIECE],
        [start(content_length="many"), *ONE_PIECE],
        [start(a="b\r\nc: d"), *ONE_PIECE],
    ],
    ids=["two starts", "no start", "too long", "no length", "a line break"],
)
async def test_nonsense(site: Site, peer: Peer, messages: Messages) -> None:
    """Messages that make no response fail, and the client gets 500."""
    answered = await answer(site, peer, "GET / HTTP/1.1\r\n\r\n", messages)
    assert answered.startswith("500 Internal Server Error\r\n")
    assert "abc" not in answered

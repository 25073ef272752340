"""Exchanges over connections: what an endpoint sees and may do."""

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from lamplighter.errors import UnknownToken
from lamplighter.web.body import MAX_BODY
from lamplighter.web.http.exchange import Direct, Exchange
from tests.web.http.peer import Endpoint, Peer, Site, answered, settle


def asking(site: Site, endpoint: Direct) -> Peer:
    """Return a client that has asked *endpoint*."""
    site.direct["GET", "/asked"] = endpoint
    peer = site.peer()
    peer.send("GET /asked?a=%20 HTTP/1.1\r\nX: y\r\nAuthorization: Bearer t\r\n\r\n")
    return peer


async def test_what_is_asked(site: Site) -> None:
    """An endpoint sees all of the request; its headers only until it returns."""
    seen: list[object] = []

    def look(exchange: Exchange) -> None:
        seen.extend((exchange.method, exchange.path, exchange.query, exchange.authorization))
        seen.append(list(exchange.headers))
        asyncio.get_running_loop().call_soon(lambda: seen.append(list(exchange.headers)))

    asking(site, look)
    await settle()
    headers = [(b"x", b"y"), (b"authorization", b"Bearer t")]
    assert seen == ["GET", "/asked", "a=%20", b"Bearer t", headers, []]


async def test_one_answer(site: Site) -> None:
    """There is one answer to a request, with headers of its own if need be."""

    def answer_twice(exchange: Exchange) -> None:
        exchange.answer(429, b"{}", ((b"retry-after", b"1"),))
        exchange.answer(200, b"again")

    assert asking(site, answer_twice).received == answered(
        "{}", "429 Too Many Requests", "retry-after: 1\r\n"
    )


async def test_a_defect(site: Site) -> None:
    """For an endpoint that fails the server answers, unless the endpoint has answered; the log has
    the failure, unless it is the client's fault.
    """

    def fail(exchange: Exchange) -> None:
        raise ValueError

    def refuse(exchange: Exchange) -> None:
        raise UnknownToken("no")

    def answer_and_fail(exchange: Exchange) -> None:
        exchange.answer(200, b"{}")
        raise ValueError

    with capture_logs() as logs:
        received = [asking(site, it).received for it in (fail, refuse, answer_and_fail)]
    defect = '{"errcode":"M_UNKNOWN","error":"Internal server error"}'
    fault = '{"errcode":"M_UNKNOWN_TOKEN","error":"no","soft_logout":false}'
    assert received == [
        answered(defect, "500 Internal Server Error"),
        answered(fault, "401 Unauthorized"),
        answered("{}"),
    ]
    assert [(line["event"], line["path"]) for line in logs] == [("request failed", "/asked")] * 2


def read(exchange: Exchange) -> None:
    """Answer with the body, or with how long it is if that is much."""
    body = exchange.body
    exchange.answer(200, body if len(body) < 100 else b"%d" % len(body))


def putting(site: Site, endpoint: Direct = read) -> Peer:
    """Return a client whose PUT at /a%2Fb *endpoint* answers."""
    site.direct["PUT", "/a%2Fb"] = endpoint
    return site.peer()


def put(body: str, *headers: str, path: str = "/a%2Fb") -> str:
    """Return a PUT."""
    lines = "".join(f"{line}\r\n" for line in headers or (f"Content-Length: {len(body)}",))
    return f"PUT {path} HTTP/1.1\r\n{lines}\r\n{body}"


async def test_a_body(site: Site) -> None:
    """A PUT is answered once all of its body has come, in however many pieces; then the next is."""
    peer = putting(site)
    for piece in put("one") + put("two"):
        peer.send(piece)
    assert peer.received == answered("one") + answered("two")
    peer.send(put("5\r\nthree\r\n0\r\n\r\n", "Transfer-Encoding: chunked") + put(""))
    assert peer.received == answered("three") + answered("")


async def test_the_largest_body(site: Site) -> None:
    """The longest body that is allowed reaches the endpoint, in one piece and in many."""
    peer = putting(site)
    request = put("x" * MAX_BODY)
    peer.send(request)
    for start in range(0, len(request), 1000):
        peer.send(request[start : start + 1000])
    assert peer.received == answered(str(MAX_BODY)) * 2


@pytest.mark.parametrize("headers", [("Content-Length: 1000000",), ("Transfer-Encoding: chunked",)])
async def test_too_large_a_body(site: Site, headers: tuple[str, ...]) -> None:
    """Of a body that is too large the endpoint gets a part, which is; then the connection ends."""
    peer = putting(site)
    peer.send(put("", *headers))
    while not (received := peer.received):
        peer.send("x" * 1000 if "Content" in headers[0] else f"3e8\r\n{'x' * 1000}\r\n")
    size = int(received.rpartition("\r\n")[2])
    assert MAX_BODY < size <= MAX_BODY + 1000
    assert received == answered(str(size), connection="connection: close\r\n")
    assert peer.transport.has_said_end


async def test_a_body_that_ends_early(site: Site) -> None:
    """A client that ends in the middle of a body has sent no JSON; the endpoint is not called."""
    endpoint = Endpoint()
    peer = putting(site, endpoint)
    peer.send(put("{", "Content-Length: 2"))
    peer.say_end()
    body = '{"errcode":"M_NOT_JSON","error":"The request ended before its body did"}'
    assert peer.received == answered(body, "400 Bad Request", "connection: close\r\n")
    assert endpoint.waiting == []


# Answers in pieces.

GET = "GET /poll?a HTTP/1.1\r\n\r\n"


class Stream:
    """Pieces that count how many were made, and whether the answer has ended."""

    def __init__(self, count: int, size: int = 70_000) -> None:
        self.made = 0
        self.ended = 0
        self._count = count
        self._size = size

    def pieces(self) -> Iterator[bytes]:
        """Give the pieces."""
        while self.made < self._count:
            self.made += 1
            yield b"x" * self._size

    def end(self) -> None:
        """Learn that the answer has ended."""
        self.ended += 1


async def test_pieces_are_made_as_they_are_taken(site: Site, peer: Peer) -> None:
    """No piece is made before the client has taken the one before: one is there at a time."""
    stream = Stream(3)
    peer.transport.is_taken = False
    peer.send(GET)
    site.endpoint.waiting.pop().answer_in_pieces(stream.pieces(), stream.end)
    for number in (1, 2, 3):
        await settle()
        assert (stream.made, stream.ended) == (number, 0)
        assert 70_000 < site.server.unsent == peer.transport.unsent < 70_500
        peer.transport.take(peer.transport.unsent)
    await settle()
    peer.transport.take(peer.transport.unsent)
    assert (stream.ended, site.server.unsent, site.server.under_way) == (1, 0, 0)
    assert peer.received.endswith("x\r\n0\r\n\r\n")


async def test_pieces_for_a_client_that_goes(site: Site, peer: Peer) -> None:
    """The rest is not made for a client that goes, and the answer has ended."""
    stream = Stream(3)
    peer.transport.is_taken = False
    peer.send(GET)
    site.endpoint.waiting.pop().answer_in_pieces(stream.pieces(), stream.end)
    await settle()
    peer.lose()
    await settle()
    assert (stream.made, stream.ended, site.server.unsent) == (1, 1, 0)


async def test_pieces_for_nobody(site: Site, peer: Peer) -> None:
    """No piece is made for a client that was gone before; the answer has ended all the same."""
    stream = Stream(3)
    peer.send(GET)
    exchange = site.endpoint.waiting.pop()
    peer.lose()
    await settle()
    exchange.answer_in_pieces(stream.pieces(), stream.end)
    await settle()
    assert (site.endpoint.lost, stream.made, stream.ended) == (["a"], 0, 1)


async def test_others_are_served_between_pieces(site: Site, peer: Peer) -> None:
    """Between two pieces the loop has its turn, also for a client that takes all at once."""
    stream = Stream(50)
    other = site.peer()
    peer.send(GET)
    site.endpoint.waiting.pop().answer_in_pieces(stream.pieces(), stream.end)
    await settle()
    assert 0 < stream.made < 50
    other.send(GET)
    assert len(site.endpoint.waiting) == 1
    while not stream.ended:
        await settle()
    assert stream.made == 50

"""Passing requests on, and answers back, to the byte; both ends are in memory."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.upstream.client import UpstreamClient
from lamplighter.homeserver.upstream.connection import MOST_UNTAKEN
from lamplighter.homeserver.upstream.forwarding import Forwarding, Watch, Watching, watch_nothing
from lamplighter.ports import RequestHead
from lamplighter.web.bodies import BodiesInTime
from lamplighter.web.http.connection import MOST_UNREAD
from tests.homeserver.upstream.wires import FakeHomeserver, Wire
from tests.service.counting import counted_functions
from tests.web.http.peer import Peer, Site, settle

GET = "GET /a HTTP/1.1\r\nHost: hs\r\n\r\n"
KNOWN = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: hs\r\n"
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#: How many functions are called for a request without a body, and for its answer.
MOST_CALLS = 89
OK_SENT = "HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\ncontent-length: 2\r\n\r\n{}"


class Front:
    """A server that passes everything on to a homeserver; a test holds both ends."""

    def __init__(
        self, homeserver: FakeHomeserver, upstream: UpstreamClient, clock: FakeClock
    ) -> None:
        self.site = Site()
        self.clock = clock
        self.homeserver = homeserver
        self.upstream = upstream
        self.watch(watch_nothing)

    def watch(self, watch: Watch) -> None:
        """Have *watch* called with each request."""
        forwarding = Forwarding(self.upstream, lambda _: False, watch)
        self.site.application.handle = BodiesInTime(forwarding, self.clock, timedelta(seconds=30))

    async def asks(self, request: str, peer: Peer | None = None) -> Peer:
        """Send *request*, and return its client once the homeserver has it."""
        peer = peer or self.site.peer()
        peer.send(request)
        await settle()
        return peer

    @property
    def wire(self) -> Wire:
        """The homeserver's end of the last connection."""
        return self.homeserver.wire


@pytest.fixture
async def front(homeserver: FakeHomeserver, upstream: UpstreamClient, clock: FakeClock) -> Front:
    """A server in front of the homeserver."""
    return Front(homeserver, upstream, clock)


async def test_headers_that_repeat(front: Front) -> None:
    """The header fields for the homeserver are written once for the requests with the same headers
    that come from one address.
    """
    written = []
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.7"):
        peer = front.site.peer(address=address)
        with counted_functions("upstream/forwarding.py") as calls:
            await front.asks(GET, peer)
        written.append(calls["UpstreamClient.fields"])
        known = KNOWN.replace("192.0.2.7", address)
        assert front.wire.received == f"GET /a HTTP/1.1\r\nhost: hs\r\n{known}\r\n"
        front.wire.send(OK)
        await settle()
        assert peer.received == OK_SENT
    assert written == [1, 0, 1, 0]


async def test_calls(front: Front) -> None:
    """Few functions are called for a request without a body and its answer, all layers included."""
    peer, counted = front.site.peer(), []
    for _ in range(3):
        with counted_functions("/src/lamplighter/") as calls:
            await front.asks(GET, peer)
            front.wire.send(OK)
            await settle()
        assert peer.received == OK_SENT
        counted.append(calls)
    assert counted[2].total() <= MOST_CALLS


@pytest.mark.parametrize(
    ("request_text", "arrives"),
    [
        (GET, f"GET /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}\r\n"),
        (
            "GET /a%2Fb/%C3%BC?c=%20&&d HTTP/1.1\r\nHost: hs\r\nX-A:  b c \r\nx-a: d\r\n\r\n",
            f"GET /a%2Fb/%C3%BC?c=%20&&d HTTP/1.1\r\nhost: hs\r\nx-a: b c\r\nx-a: d\r\n{KNOWN}\r\n",
        ),
        ("GET /a? HTTP/1.1\r\nHost: hs\r\n\r\n", f"GET /a? HTTP/1.1\r\nhost: hs\r\n{KNOWN}\r\n"),
        (
            "PUT /a HTTP/1.1\r\nHost: hs\r\nContent-Length: 3\r\n\r\nabc",
            f"PUT /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}content-length: 3\r\n\r\nabc",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: hs\r\nContent-Length: 0\r\n\r\n",
            f"POST /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}content-length: 0\r\n\r\n",
        ),
        ("POST /a HTTP/1.1\r\nHost: hs\r\n\r\n", f"POST /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}\r\n"),
        (
            "POST /a HTTP/1.1\r\nHost: hs\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n"
            "2;x=y\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n",
            f"POST /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}transfer-encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: hs\r\n\r\n",
            f"OPTIONS * HTTP/1.1\r\nhost: hs\r\n{KNOWN}\r\n",
        ),
        (
            "GET http://other/a HTTP/1.1\r\nHost: hs\r\nConnection: x-b\r\nX-B: c\r\n\r\n",
            f"GET /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}\r\n",
        ),
        (
            "GET /a HTTP/1.0\r\n\r\n",
            "GET /a HTTP/1.1\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\n"
            "host: hs.example\r\n\r\n",
        ),
    ],
)
async def test_requests(front: Front, request_text: str, arrives: str) -> None:
    """Method, target, headers and body arrive as they were sent, framed in one way."""
    await front.asks(request_text)
    assert front.wire.received == arrives


@pytest.mark.parametrize(
    ("asked", "answer", "arrives"),
    [
        (
            GET,
            "HTTP/1.1 200 Fine\r\nDate: then\r\nServer: S\r\nSet-Cookie: a\r\nset-cookie: b\r\n"
            "Content-Length: 2\r\nConnection: x-c, close\r\nX-C: d\r\nKeep-Alive: 5\r\n\r\n\xff\0",
            "HTTP/1.1 200 OK\r\ndate: then\r\nserver: S\r\nset-cookie: a\r\nset-cookie: b\r\n"
            "content-length: 2\r\n\r\n\xff\0",
        ),
        (
            GET,
            "HTTP/1.1 404 Not Found\r\nDate: t\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n"
            "1\r\na\r\n1\r\nb\r\n0\r\nx: y\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ndate: t\r\ncontent-length: 2\r\n\r\nab",
        ),
        (
            GET,
            "HTTP/1.1 304 Not Modified\r\nDate: t\r\nContent-Length: 9\r\nETag: x\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\ndate: t\r\ncontent-length: 9\r\netag: x\r\n\r\n",
        ),
        (
            "DELETE /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nDate: t\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ndate: t\r\n\r\n",
        ),
        (
            "HEAD /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nDate: t\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 200 OK\r\ndate: t\r\ncontent-length: 9\r\n\r\n",
        ),
        (
            "GET /a HTTP/1.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nDate: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ndate: t\r\ncontent-length: 1\r\nconnection: close\r\n\r\na",
        ),
        (
            GET,
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 429 x\r\nDate: t\r\n"
            "Content-Length: 0\r\n\r\n",
            "HTTP/1.1 429 Too Many Requests\r\ndate: t\r\ncontent-length: 0\r\n\r\n",
        ),
    ],
    ids=["length", "chunks", "304", "204", "HEAD", "HTTP/1.0", "an interim answer"],
)
async def test_answers(front: Front, asked: str, answer: str, arrives: str) -> None:
    """Status, headers and body come back as the homeserver has sent them."""
    peer = await front.asks(asked)
    front.wire.send(answer)
    await settle()
    assert peer.transport.sent.decode("latin-1") == arrives


async def test_an_answer_to_the_end_of_the_connection(front: Front) -> None:
    """An answer of unknown length comes in chunks, and ends with the homeserver's connection."""
    peer = await front.asks(GET)
    front.wire.send("HTTP/1.0 200 OK\r\nDate: t\r\n\r\nab")
    await settle()
    assert peer.received == (
        "HTTP/1.1 200 OK\r\ndate: t\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n"
    )
    front.wire.close()
    await settle()
    assert (peer.received, peer.is_closed) == ("0\r\n\r\n", False)


async def test_streaming_up(front: Front) -> None:
    """Each part of a body goes out when it comes; both connections serve the next request."""
    peer = await front.asks("PUT /a HTTP/1.1\r\nHost: hs\r\nContent-Length: 4\r\n\r\nab")
    assert front.wire.received.endswith("content-length: 4\r\n\r\nab")
    for part in "cd":
        await front.asks(part, peer)
        assert front.wire.received == part
    front.wire.send(OK)
    await settle()
    assert peer.received == OK_SENT
    await front.asks(GET, peer)
    assert front.wire.received.startswith("GET /a")
    assert len(front.homeserver.wires) == 1


async def test_expectations(front: Front) -> None:
    """A client that asks whether to send its body is told to once the homeserver is reached."""
    front.homeserver.takes.clear()
    peer = await front.asks(
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    )
    assert peer.received == ""
    front.homeserver.takes.set()
    await settle()
    assert peer.received == "HTTP/1.1 100 Continue\r\n\r\n"
    await front.asks("1\r\na\r\n", peer)
    await front.asks("0\r\n\r\n", peer)
    head, _, body = front.wire.received.partition("\r\n\r\n")
    assert ("expect" in head, body) == (False, "1\r\na\r\n0\r\n\r\n")


async def test_an_early_answer(front: Front) -> None:
    """An answer in the middle of the body is passed on, and neither connection is used again."""
    peer = await front.asks("POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nab")
    front.wire.send("HTTP/1.1 413 x\r\nDate: t\r\nContent-Length: 2\r\n\r\n{}")
    await settle()
    assert peer.received == (
        "HTTP/1.1 413 Request Entity Too Large\r\ndate: t\r\ncontent-length: 2\r\n"
        "connection: close\r\n\r\n{}"
    )
    assert (front.wire.is_closed, peer.transport.has_said_end) == (True, True)


async def test_an_answer_while_the_body_comes(front: Front) -> None:
    """An answer that has only begun does not stop the body: both go on side by side."""
    peer = await front.asks("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
    front.wire.send("HTTP/1.1 200 OK\r\nDate: t\r\nContent-Length: 2\r\n\r\nx")
    await settle()
    assert peer.received.endswith("\r\n\r\nx")
    await front.asks("cd", peer)
    assert front.wire.received.endswith("\r\n\r\nabcd")
    front.wire.send("y")
    await settle()
    assert (peer.received, front.wire.is_closed) == ("y", False)


async def test_a_slow_client(front: Front) -> None:
    """While a client does not read, no more of its answer is read than a limited part."""
    peer = await front.asks(GET)
    peer.transport.is_taken = False
    size = 100 * MOST_UNTAKEN
    front.wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
    sent = 0
    while front.wire.transport.is_reading_now and sent < size:
        front.wire.send(b"x" * 4096)
        sent += 4096
        await settle()
    assert sent <= MOST_UNTAKEN + 2 * 4096
    while sent < size:  # the client reads all that has come, again and again
        peer.transport.take(peer.transport.unsent)
        await settle()
        assert front.wire.transport.is_reading_now
        front.wire.send(b"x" * min(MOST_UNTAKEN + 1, size - sent))
        sent += min(MOST_UNTAKEN + 1, size - sent)
        await settle()
    peer.transport.take(peer.transport.unsent)
    await settle()
    assert len(peer.received.partition("\r\n\r\n")[2]) == size


async def test_a_slow_homeserver(front: Front) -> None:
    """While the homeserver does not read, no more of a body is read than a limited part."""
    peer = await front.asks("PUT /a HTTP/1.1\r\nContent-Length: 9999999\r\n\r\nx")
    wire = front.wire
    wire.transport.is_taken = False
    sent = 0
    while peer.transport.is_reading_now and sent < 9_000_000:
        peer.send(b"x" * 4096)
        sent += 4096
        await settle()
    buffer = 64 * 1024  # of the transport to the homeserver
    assert sent <= buffer + MOST_UNREAD + 3 * 4096
    wire.transport.take(wire.transport.unsent)
    await settle()
    assert peer.transport.is_reading_now


async def test_a_client_that_leaves(front: Front) -> None:
    """The request of a client that is gone ends at the homeserver too, whatever it asks for."""
    for request in (
        GET,
        "PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "PUT / HTTP/1.1\r\n\r\n",
    ):
        peer = await front.asks(request)
        assert not front.wire.is_closed
        peer.lose()
        await settle()
        assert front.wire.is_closed
    assert front.site.server.under_way == 0


async def test_a_client_that_stops_in_its_body(front: Front) -> None:
    """Half of a body is never passed on as a whole one."""
    for request in (
        "PUT /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab",
        "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    ):
        peer = await front.asks(request)
        peer.say_end()
        await settle()
        assert "0\r\n\r\n" not in front.wire.received.partition("\r\n\r\n")[2]
        assert front.wire.is_closed
        assert "HTTP/1.1 400 Bad Request\r\n" in peer.received


@pytest.mark.parametrize("ends", [Wire.close, Wire.lose])
@pytest.mark.parametrize("framing", ["Content-Length: 9", "Transfer-Encoding: chunked"])
async def test_half_of_an_answer(front: Front, ends: Callable[[Wire], None], framing: str) -> None:
    """An answer that breaks off breaks off for the client too, and is logged once, as no defect."""
    peer = await front.asks(GET)
    front.wire.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n1\r\na\r\n")
    await settle()
    with capture_logs() as logs:
        ends(front.wire)
        await settle()
    assert peer.received.endswith("1\r\na\r\n")
    assert peer.transport.is_aborted
    assert {line["log_level"] for line in logs} == {"warning"}


@pytest.mark.parametrize(
    ("happens", "status"),
    [
        (lambda it: it.wire.lose(), 502),
        (lambda it: it.wire.close(), 502),
        (lambda it: it.wire.send("HTTP/1.1 200 OK\r\nbroken\r\n\r\n"), 502),
        (lambda it: it.clock.advance(minutes=10, seconds=5), 504),
    ],
    ids=["lost", "closed", "nonsense", "silence"],
)
@pytest.mark.parametrize("body", ["{}", "{"])
async def test_no_answer(
    front: Front, body: str, happens: Callable[[Front], None], status: int
) -> None:
    """Where no answer comes, the client gets an error of Matrix's form, also within its body."""
    peer = await front.asks(f"PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{body}")
    with capture_logs():
        happens(front)
        await settle()
    assert peer.received.startswith(f"HTTP/1.1 {status} ")
    assert front.wire.is_closed


async def test_watching(front: Front) -> None:
    """A watch gets each request, and the status before the client gets any of the answer."""
    seen: list[object] = []
    go_on = asyncio.Event()

    def watch(method: str, path: str, query: str, head: RequestHead) -> Watching | None:
        seen.append((method, path, query, head.headers))
        return Watching(watch_status) if method == "PUT" else None

    async def watch_status(status: int, body: bytes | None) -> None:
        seen.append((status, body))
        await go_on.wait()

    front.watch(watch)
    peer = await front.asks("PUT /a%20b?c=%20 HTTP/1.1\r\nX-A: b\r\n\r\n")
    front.wire.send(OK)
    await settle()
    assert (peer.received, seen) == (
        "",
        [("PUT", "/a%20b", "c=%20", [(b"x-a", b"b")]), (200, None)],
    )
    go_on.set()
    await settle()
    assert peer.received == OK_SENT
    await front.asks(GET, peer)
    front.wire.send(OK)
    await settle()
    assert (peer.received, len(seen)) == (OK_SENT, 3)


@pytest.mark.parametrize(
    ("pieces", "copied"),
    [
        (["", "abc"], b"abc"),
        (["a", "b", "c"], b"abc"),
        (["abcd"], b"abcd"),
        (["abcde"], None),
        (["ab", "c", "de"], None),
        (["abcde", "f"], None),
    ],
)
async def test_a_copied_body(front: Front, pieces: list[str], copied: bytes | None) -> None:
    """A watch gets a body that is small enough, however it comes; it passes as it came."""
    seen: list[object] = []

    async def answered(status: int, body: bytes | None) -> None:
        seen.append((status, body))

    async def before() -> None:
        seen.append("before")

    front.watch(lambda *_: Watching(answered, 4, before))
    body = "".join(pieces)
    peer = await front.asks(f"PUT /a HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{pieces[0]}")
    for piece in pieces[1:]:
        await front.asks(piece, peer)
    assert front.wire.received.endswith(f"\r\n\r\n{body}")
    front.wire.send(OK)
    await settle()
    assert (peer.received, seen) == (OK_SENT, ["before", (200, copied)])


async def test_a_body_that_is_not_whole(front: Front) -> None:
    """If the homeserver answers before it has the whole body, a watch gets none of it."""
    seen: list[object] = []

    async def answered(status: int, body: bytes | None) -> None:
        seen.append((status, body))

    front.watch(lambda *_: Watching(answered, 4))
    await front.asks("PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na")
    front.wire.send(OK)
    await settle()
    assert seen == [(200, None)]


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("PUT /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        ("PUT /a HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na", 400),
        ("PUT /a HTTP/1.1\r\nContent-Length: +1\r\n\r\na", 400),
        ("PUT /a HTTP/1.1\r\nContent-Length : 1\r\n\r\na", 400),
        ("PUT /a HTTP/1.1\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0", 400),
        ("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0", 400),
        ("PUT /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        ("PUT /a HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        ("PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", 400),
        ("GET /a HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\n A: b\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nA: b\rC: d\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nA: b\0\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nA\0: b\r\n\r\n", 400),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /a HTTP/1.2\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\n\r\n", 400),
        ("GET /a\r\n\r\n", 400),
        ("CONNECT hs:8448 HTTP/1.1\r\nHost: hs\r\n\r\n", 400),
        (
            "PUT /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\na",
            400,
        ),
        ("GET /a HTTP/1.1\r\n" + "A: b\r\n" * 200 + "\r\n", 431),
        ("GET /a HTTP/1.1\r\nA: " + "b" * 70_000, 431),
        ("GET /" + "a" * 20_000 + " HTTP/1.1\r\n\r\n", 414),
    ],
)
async def test_what_is_never_passed_on(front: Front, request_text: str, status: int) -> None:
    """A request of which two readers could see different ends, and a flood, go nowhere."""
    peer = await front.asks(request_text)
    assert peer.received.startswith(f"HTTP/1.1 {status} ")
    assert front.homeserver.wires == []


async def test_nonsense_in_a_body(front: Front) -> None:
    """Where a body stops being HTTP, the request breaks off at the homeserver too."""
    peer = await front.asks("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    await front.asks("GET /b HTTP/1.1\r\n\r\n", peer)
    assert peer.received.startswith("HTTP/1.1 400 ")
    _, _, body = front.wire.received.partition("\r\n\r\n")
    assert (body, front.wire.is_closed) == ("1\r\na\r\n", True)


async def test_an_offer_to_upgrade(front: Front) -> None:
    """An offer to upgrade the connection is not passed on, nor is what follows as one."""
    await front.asks(f"{GET[:-2]}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert front.wire.received == f"GET /a HTTP/1.1\r\nhost: hs\r\n{KNOWN}\r\n"


async def test_slow_bodies(front: Front) -> None:
    """A body may take as long as it likes while it comes, and ends the request when it stops."""
    peer = await front.asks("PUT /a HTTP/1.1\r\nContent-Length: 99999\r\n\r\n" + "x" * 1024)
    for _ in range(5):
        front.clock.advance(seconds=29)
        await front.asks("x" * 1024, peer)
    assert (peer.received, front.wire.is_closed) == ("", False)
    front.clock.advance(seconds=30)
    await settle()
    assert peer.received.startswith("HTTP/1.1 408 ")
    assert front.wire.is_closed


async def test_a_homeserver_that_stops_reading(front: Front) -> None:
    """A homeserver that reads nothing of a body for a minute does not answer in time."""
    front.homeserver.takes.clear()
    peer = await front.asks("PUT /a HTTP/1.1\r\nContent-Length: 999999\r\n\r\nx")
    front.homeserver.takes.set()
    await settle()
    front.wire.transport.is_taken = False
    while peer.transport.is_reading_now:
        peer.send(b"x" * 4096)
        await settle()
    with capture_logs():
        front.clock.advance(seconds=65)
        await settle()
    assert peer.received.startswith("HTTP/1.1 504 ")
    assert front.wire.transport.is_aborted

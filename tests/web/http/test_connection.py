"""One client's connection: order, limits, and how it ends."""

import asyncio
import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from lamplighter.clock import Timer, Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import Forbidden
from lamplighter.web.application import send_json
from lamplighter.web.http.connection import MOST_QUEUED, Connection
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.web.http.peer import Application, Endpoint, Peer, Site, answered, settle, whole_body
from tests.web.http.test_reader import PIECES

CLOSE = "connection: close\r\n"


def poll(query: str, *headers: str) -> str:
    """Return a request that waits for an answer."""
    more = "".join(f"{it}\r\n" for it in headers)
    return f"GET /poll?{query} HTTP/1.1\r\n{more}\r\n"


def put(body: str, *headers: str) -> str:
    """Return a request for the application."""
    more = "".join(f"{it}\r\n" for it in headers)
    return f"PUT /echo HTTP/1.1\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"


@pytest.mark.parametrize("size", [1, 2, 5, 33])
async def test_in_pieces(site: Site, peer: Peer, size: int) -> None:
    """Requests may come in pieces, cut wherever it may be."""
    site.endpoint.answers_at_once = True
    data = poll("a", "A: b") + put("{}") + poll("c")
    for start in range(0, len(data), size):
        peer.send(data[start : start + size])
    await settle()
    assert peer.received == answered('"a"') + answered("{}") + answered('"c"')


async def test_pipelining(site: Site, peer: Peer) -> None:
    """Requests that come together are answered in their order, however many there are."""
    site.endpoint.answers_at_once = True
    peer.send("".join(poll(str(n)) for n in range(2000)))
    assert peer.received == "".join(answered(f'"{n}"') for n in range(2000))


async def test_the_order_of_answers(site: Site, peer: Peer) -> None:
    """Requests are answered in their order; the endpoint sees one at a time."""
    peer.send(poll("a") + put("{}") + poll("b"))
    await settle()
    assert (peer.received, len(site.endpoint.waiting)) == ("", 1)
    site.endpoint.answer()
    await settle()
    assert peer.received == answered('"a"') + answered("{}")
    site.endpoint.answer()
    assert peer.received == answered('"b"')


async def test_a_long_queue(site: Site, peer: Peer) -> None:
    """Behind a request that waits, few others are read; the rest is left to the network."""
    many = "".join(poll(str(n), f"A: {'a' * 4000}") for n in range(30))
    peer.send(many)
    assert not peer.transport.is_reading_now
    peer.send(many)  # was on its way already
    for n in range(60):
        assert len(site.endpoint.waiting) == 1
        site.endpoint.answer()
        assert peer.received == answered(f'"{n % 30}"')
    assert peer.transport.is_reading_now


async def test_a_short_queue(site: Site, peer: Peer) -> None:
    """While few requests are queued, the server reads on, and so hears of a client that leaves."""
    peer.send("".join(poll(str(n)) for n in range(MOST_QUEUED - 1)))
    assert peer.transport.is_reading_now


async def test_large_bodies(site: Site, peer: Peer) -> None:
    """Little is read of a body that the application does not take; then all of it comes."""
    begin = asyncio.Event()

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        await begin.wait()
        body = await whole_body(receive)
        await send_json(send, 200, str(len(body)).encode())

    site.application.handle = count
    peer.send(put("x" * 400_000))
    await settle()
    assert not peer.transport.is_reading_now
    begin.set()
    await settle()
    assert (peer.received, peer.transport.is_reading_now) == (answered("400000"), True)


async def test_a_get_with_a_body(site: Site, peer: Peer) -> None:
    """The endpoint is called once the whole request is there, also a body that it does not use."""
    request = poll("a", "Content-Length: 100000", "Expect: 100-continue")
    peer.send(request + "x" * 99_999)
    assert (peer.received, site.endpoint.waiting) == ("HTTP/1.1 100 Continue\r\n\r\n", [])
    assert peer.transport.is_reading_now
    peer.send("x")
    site.endpoint.answer()
    assert peer.received == answered('"a"')


async def test_versions(site: Site, peer: Peer) -> None:
    """HTTP/1.0 closes after an answer, or the answer says that the connection stays."""
    site.endpoint.answers_at_once = True
    peer.send("GET /poll?a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert peer.received == answered('"a"', connection="connection: keep-alive\r\n")
    peer.send("GET /poll?b HTTP/1.0\r\n\r\n")
    await settle()
    assert (peer.received, peer.is_closed) == (answered('"b"', connection=CLOSE), True)


async def test_nonsense(site: Site, peer: Peer) -> None:
    """Bytes that are not HTTP get 400, after the answers to the requests before them."""
    peer.send(poll("a") + "GARBAGE\r\n\r\n")
    assert peer.received == ""
    site.endpoint.answer()
    body = '{"errcode":"M_UNRECOGNIZED","error":"The request is not HTTP"}'
    assert peer.received == answered('"a"') + answered(body, "400 Bad Request", CLOSE)


@pytest.mark.parametrize(("size", "is_aborted"), [(1_000_000, False), (1_100_000, True)])
async def test_sending_after_the_last_answer(
    site: Site, peer: Peer, size: int, is_aborted: bool
) -> None:
    """A client that still sends at the end can read the last answer, but cannot send much."""
    peer.send("GARBAGE\r\n\r\n")
    assert (peer.transport.has_said_end, peer.is_closed) == (True, False)
    peer.send("x" * 1_000_000)
    peer.send("x" * (size - 1_000_000))
    if not is_aborted:
        peer.say_end()
    await settle()
    assert (peer.is_closed, peer.transport.is_aborted) == (True, is_aborted)


async def test_nonsense_in_a_body(site: Site, peer: Peer) -> None:
    """A body that breaks off in nonsense looks to the application as if its client had gone."""
    peer.send("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nnonsense\r\n")
    await settle()
    assert peer.received == answered("{", connection=CLOSE)


@pytest.mark.parametrize("more", ["nonsense", None])
async def test_nonsense_in_a_body_that_nobody_wants(
    site: Site, peer: Peer, more: str | None
) -> None:
    """The endpoint is not called, and the client gets 400."""
    peer.send(poll("a", "Transfer-Encoding: chunked") + "1\r\nx\r\n")
    if more is None:
        peer.say_end()
    else:
        peer.send(more)
    await settle()
    body = '{"errcode":"M_UNRECOGNIZED","error":"The request ended before its body did"}'
    assert peer.received == answered(body, "400 Bad Request", CLOSE)
    assert site.endpoint.waiting == []


# How clients leave.


async def test_leaving_before_the_answer(site: Site, peer: Peer) -> None:
    """The endpoint hears once of a client that goes; later answers are dropped."""
    peer.send(poll("a") + poll("b"))
    peer.lose()
    await settle()
    assert site.endpoint.gone == ["a"]
    site.endpoint.answer()
    await settle()
    assert (peer.received, site.endpoint.gone, site.server.under_way) == ("", ["a"], 0)


@pytest.mark.parametrize("at_once", [True, False])
async def test_leaving_after_the_answer(site: Site, peer: Peer, at_once: bool) -> None:
    """The endpoint does not hear of a client that goes after its answer, given at once or later."""
    site.endpoint.answers_at_once = at_once
    peer.send(poll("a"))
    if not at_once:
        site.endpoint.answer()
    peer.lose()
    await settle()
    assert (site.endpoint.gone, site.server.under_way) == ([], 0)


async def test_a_transport_that_is_closed_silently(site: Site, peer: Peer) -> None:
    """An answer to a client whose transport the event loop has closed without a word is dropped,
    from a direct endpoint or an application, whole or in parts.
    """
    went_on = []

    async def in_parts(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"a", b"b"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        went_on.append("parts")

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        went_on.append("failure")
        raise Forbidden("no")

    handlers = {poll("a"): fails, put("1"): in_parts, put("2"): fails}
    for request, site.application.handle in handlers.items():
        peer = site.peer()
        peer.transport.is_closed_silently = True
        peer.send(request)
        if request.startswith("GET"):
            site.endpoint.answer()
        await settle()
        peer.lose()
    await settle()
    assert (went_on, site.server.under_way) == (["parts", "failure"], 0)


INTERIM = "HTTP/1.1 100 Continue\r\n\r\n"


async def test_half_closing(site: Site, peer: Peer) -> None:
    """A client that closes its half looks gone to the endpoint, and yet gets its answers."""
    peer.send(poll("a") + put("{}") + poll("b"))
    peer.say_end()
    assert site.endpoint.gone == ["a"]
    site.endpoint.answer()
    await settle()
    assert peer.received == answered('"a"') + answered("{}") + INTERIM
    assert site.endpoint.gone == ["a", "b"]
    site.endpoint.answer()
    await settle()
    assert (peer.received, peer.is_closed) == (answered('"b"', connection=CLOSE), True)


async def test_half_closing_amid_an_answer(site: Site, peer: Peer) -> None:
    """A client that stops speaking while it is answered hears the rest, and then the end."""
    go_on = asyncio.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"b"})

    site.application.handle = stream
    peer.send("GET / HTTP/1.1\r\n\r\n")
    await settle()
    peer.say_end()
    assert not peer.is_closed
    go_on.set()
    await settle()
    assert peer.received.endswith("1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
    assert (peer.is_closed, peer.transport.is_aborted) == (True, False)


@pytest.mark.parametrize("tls", [False, True])
async def test_half_closing_and_no_answer(site: Site, tls: bool) -> None:
    """But mostly it is gone: if no answer follows, the connection is closed after a while. TLS has
    no halves, and is closed at once.
    """
    peer = site.peer(tls=tls)
    peer.send(poll("a"))
    peer.say_end()
    if not tls:
        site.clock.advance(seconds=5)
        assert not peer.is_closed
        site.clock.advance(seconds=7)
    await settle()
    assert (peer.is_closed, site.endpoint.gone, site.server.under_way) == (True, ["a"], 0)


# How long clients may take.


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("", 75),
        ("\r\n", 75),
        (poll("a")[:20], 30),
        (poll("a", "Content-Length: 2") + "x", 30),
    ],
    ids=["nothing", "an empty line", "half a head", "half a body"],
)
async def test_being_slow(site: Site, peer: Peer, sent: str, seconds: int) -> None:
    """An idle connection is closed after a while, and sooner one with half of a request."""
    peer.send(sent)
    site.clock.advance(seconds=seconds)
    assert not peer.is_closed
    site.clock.advance(seconds=2)
    assert (peer.is_closed, peer.received) == (True, "")


async def test_slow_loris(site: Site, peer: Peer) -> None:
    """A head that comes byte by byte must yet come in time."""
    for byte in poll("a" * 100)[:40]:
        peer.send(byte)
        site.clock.advance(seconds=1)
    assert peer.is_closed


@pytest.mark.parametrize("at_once", [False, True])
async def test_polls_are_not_slow(site: Site, peer: Peer, at_once: bool) -> None:
    """A request that waits for its answer may wait; after each answer, also after one that is given
    at once, the client has its full time again.
    """
    site.endpoint.answers_at_once = at_once
    for _ in range(3):
        peer.send(poll("a"))
        if not at_once:
            site.clock.advance(hours=1)
            site.endpoint.answer()
        assert peer.received.endswith('\r\n\r\n"a"')
        site.clock.advance(seconds=70)
        assert not peer.is_closed
    site.clock.advance(seconds=7)
    assert peer.is_closed


async def test_the_date(site: Site, peer: Peer) -> None:
    """Every answer says what time it is."""
    site.endpoint.answers_at_once = True
    peer.send(poll("a"))
    assert peer.received == answered('"a"')
    site.clock.advance(seconds=3)
    peer.send(poll("a"))
    assert peer.received == answered('"a"').replace("00:00:00 GMT", "00:00:03 GMT")


@pytest.mark.parametrize(
    ("requests", "taken", "seconds"),
    [
        (poll("x" * 3000) * 100, 0, 32),
        (poll("x" * 3000), 1_023, 31),
        (poll("a", "Connection: close"), 0, 11),
    ],
    ids=["not read", "hardly read", "a last one"],
)
async def test_an_answer_that_is_not_read(
    site: Site, peer: Peer, requests: str, taken: int, seconds: int
) -> None:
    """A client that hardly reads gets no more answers, and is closed after a while, sooner after
    its last answer.
    """
    site.endpoint.answers_at_once = True
    peer.transport.is_taken = False
    peer.send(requests)
    assert peer.received.count("HTTP/1.1 200 OK") == 1
    assert site.server.unsent == peer.transport.unsent > 0
    peer.transport.take(taken)
    site.clock.advance(seconds=seconds)
    await settle()
    assert (peer.is_closed, peer.transport.is_aborted, site.server.unsent) == (True, True, 0)


async def test_a_stream_that_is_read_late(site: Site, peer: Peer) -> None:
    """A client that has read everything has its full time again for what follows."""

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4):
            await send({"type": "http.response.body", "body": b"x" * 3000, "more_body": True})

    site.application.handle = stream
    peer.transport.is_taken = False
    peer.send("GET /stream HTTP/1.1\r\n\r\n")
    for _ in range(3):
        await settle()
        site.clock.advance(seconds=20)
        assert not peer.is_closed
        peer.transport.take(peer.transport.unsent)
    await settle()
    site.clock.advance(seconds=31)
    await settle()
    assert peer.is_closed


async def test_a_lost_connection_is_not_kept(site: Site) -> None:
    """Nothing of a connection is left once it is lost, whatever its client was waited for."""
    other = site.peer()
    before = connections()
    idle, half, silent = (site.peer() for _ in range(3))
    half.send(poll("a")[:9])
    silent.send(poll("a"))
    for seconds in (0, 2):
        site.clock.advance(seconds=seconds)
        fresh = site.peer()
        fresh.lose()
        await settle()
    for peer in (idle, half, silent):
        peer.lose()
    await settle()
    site.endpoint.waiting.clear()
    del fresh, idle, half, silent, peer
    assert connections() == before
    other.lose()


def connections() -> list[Connection]:
    """Return all connections that there are in memory."""
    gc.collect()
    return [it for it in gc.get_objects() if type(it) is Connection]


async def test_bytes_that_wait_are_bounded_for_all_together() -> None:
    """Where clients leave too many bytes unread, those with most of them are closed."""
    site = Site(most_unsent=10_000)
    site.endpoint.answers_at_once = True
    peers = [site.peer() for _ in range(5)]
    for peer, size in zip(peers, (1000, 4000, 4000, 1000, 1), strict=True):
        peer.transport.is_taken = False
        peer.send(poll("x" * size))
    await settle()
    assert [peer.transport.is_aborted for peer in peers] == [False, True, False, False, False]
    assert site.server.unsent == sum(peer.transport.unsent for peer in peers if not peer.is_closed)
    for peer in peers:
        peer.lose()
    await settle()
    assert site.server.unsent == 0


async def test_a_client_that_is_gone_while_requests_are_read(site: Site, peer: Peer) -> None:
    """A transport that closes in the middle of what has come is not asked to pause: it refuses."""
    peer.send(poll("a"))
    peer.transport.lose(BrokenPipeError())
    peer.send(poll("b") * 2_000)
    await settle()
    assert (peer.is_closed, site.server.under_way) == (True, 0)


async def test_an_answer_that_is_read_slowly(site: Site, peer: Peer) -> None:
    """A client that reads slowly gets the whole answer, and the next ones."""
    site.endpoint.answers_at_once = True
    peer.transport.is_taken = False
    peer.send(poll("x" * 6000) * 10)
    for _ in range(4):
        peer.transport.take(1_100)
        site.clock.advance(seconds=31)
    assert not peer.is_closed
    peer.transport.is_taken = True
    peer.transport.take(peer.transport.unsent)
    assert peer.received.count("HTTP/1.1 200 OK") == 10


class CountingClock:
    """Counts how often it is asked for anything."""

    def __init__(self) -> None:
        self.turned = FakeClock()
        self.calls = 0

    def now(self) -> Timestamp:
        self.calls += 1
        return self.turned.now()

    def call_at(self, when: Timestamp, callback: Callable[[], None]) -> Timer:
        self.calls += 1
        return self.turned.call_at(when, callback)


async def test_time_costs_nothing() -> None:
    """One timer serves all connections, which never ask for the time; without one there is none."""
    clock, endpoint = CountingClock(), Endpoint()

    def server() -> HttpServer:
        return HttpServer(Application(), clock, MATRIX, find_direct=lambda _: endpoint)

    peers = [Peer(server().connect())]
    first = clock.calls
    shared = server()
    peers += [Peer(shared.connect()) for _ in range(500)]
    for peer in peers:
        peer.send(poll("a"))
        endpoint.answer()
    assert clock.calls <= 2 * first + 4
    for peer in peers:
        peer.lose()
    await settle()
    assert clock.turned.next_timer() is None


# How the server stops.


async def test_stopping(site: Site) -> None:
    """Idle connections are closed; others end with the current answer, which says so."""
    idle, half, waiting, asking = (site.peer() for _ in range(4))
    half.send(poll("a")[:9])
    waiting.send(poll("a") + poll("b"))
    asking.send(put("{}", "X: y"))
    site.server.close()
    assert (idle.is_closed, half.is_closed, waiting.is_closed) == (True, True, False)
    site.endpoint.answer()
    await settle()
    assert (waiting.received, waiting.is_closed) == (answered('"a"', connection=CLOSE), True)
    assert (asking.received, asking.is_closed) == (answered("{}", connection=CLOSE), True)
    await site.server.answered()
    await site.server.empty()
    late = site.peer()
    assert late.transport.is_aborted


async def test_cutting_off(site: Site, peer: Peer) -> None:
    """A request that is cut off gets 503, and its endpoint hears that the client is gone."""
    half = site.peer()
    half.send(poll("b", "Content-Length: 5") + "x")
    peer.send(poll("a"))
    site.server.close()
    site.server.cut_off()
    error = "This server is shutting down; ask again in a moment"
    body = f'{{"errcode":"M_UNKNOWN","error":"{error}"}}'
    expected = answered(body, "503 Service Unavailable", CLOSE)
    assert (peer.received, half.received) == (expected, expected)
    assert site.endpoint.gone == ["a"]


async def test_aborting(site: Site, peer: Peer) -> None:
    """At last all connections are closed at once."""
    peer.send("GARBAGE\r\n\r\n")
    site.server.close()
    site.server.abort()
    await site.server.empty()
    assert peer.is_closed


@given(st.lists(PIECES, max_size=12))
def test_whatever_comes(pieces: list[bytes]) -> None:
    """For any bytes the connection ends in time, and nothing is left of it."""

    async def play() -> None:
        site = Site()
        site.endpoint.answers_at_once = True
        peer = site.peer()
        for piece in pieces:
            if not peer.transport.is_closing():
                peer.send(piece)
            await settle()
        if not peer.transport.is_closing():
            peer.say_end()
        site.clock.advance(minutes=2)
        await settle()
        assert (peer.is_closed, site.server.under_way, site.clock.next_timer()) == (True, 0, None)
        assert "500 Internal" not in peer.received

    asyncio.run(play())


async def test_refused_connections_are_logged_now_and_then() -> None:
    """A server that has no room says so, and what to do, once a minute however many come; it
    counts them all.
    """
    site = Site(most_connections=1)
    site.peer()
    with capture_logs() as logs:
        refused = [site.server.connect() for _ in range(100)]
        site.clock.advance(seconds=61)
        refused.append(site.server.connect())
    assert refused == [None] * site.refused == [None] * 101
    assert [(line["log_level"], line["connections"]) for line in logs] == [("error", 1)] * 2
    assert "LimitNOFILE" in logs[0]["event"]

"""From bytes to requests, in pieces of all kinds."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.errors import HeadTooLarge, Malformed, TargetTooLong
from lamplighter.web.http.reader import MOST_FIELDS, MOST_HEAD, MOST_TARGET, Reader
from lamplighter.web.http.request import Request

GET = b"GET /sync?a=b HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Bearer t\r\n\r\n"
PUT = b"PUT /status HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{'a':1}"
CHUNKED = (
    b"POST /send HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;note=x\r\n{'a\r\n4\r\n':1}\r\n0\r\nTrailer: unwanted\r\n\r\n"
)
OLD = b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
UPGRADE = (
    b"POST /h2 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP\r\nContent-Length: 0\r\n\r\n"
)
WEBSOCKET = b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
LAST = b"DELETE /last HTTP/1.1\r\nConnection: close\r\n\r\n"
ALL = (GET, PUT, CHUNKED, OLD, UPGRADE, WEBSOCKET, LAST)


@dataclass(frozen=True)
class Seen:
    """What there is to know of a request."""

    line: str
    body: bytes = b""
    authorization: bytes | None = None
    is_http10: bool = False
    keeps_alive: bool = True
    is_complete: bool = True


def seen(request: Request) -> Seen:
    """Return what there is to know of *request*; its body is taken."""
    assert request.problem is None
    return Seen(
        f"{request.method} {request.target.raw_path} {request.target.query}".rstrip(),
        request.take_body(),
        request.authorization,
        request.is_http10,
        request.keeps_alive,
        request.is_complete,
    )


EXPECTED = [
    Seen("GET /sync a=b", authorization=b"Bearer t"),
    Seen("PUT /status", b"{'a':1}"),
    Seen("POST /send", b"{'a':1}"),
    Seen("GET /old", is_http10=True),
    Seen("POST /h2"),
    Seen("GET /ws"),
    Seen("DELETE /last", keeps_alive=False),
]


def read(*parts: bytes) -> Reader:
    """Return a reader that was fed *parts*."""
    reader = Reader()
    for part in parts:
        reader.feed(part)
    return reader


def problem_of(reader: Reader) -> type[object]:
    """Return the kind of the problem of the last request, behind which nothing is read."""
    assert reader.is_over
    return type(reader.requests[-1].problem)


def test_requests_in_one_piece() -> None:
    """Requests of all forms are read one after the other; an offer to upgrade is not taken."""
    reader = read(b"".join(ALL))
    assert [seen(request) for request in reader.requests] == EXPECTED
    assert reader.is_over


@pytest.mark.parametrize("request_", ALL, ids=lambda it: it[:12].decode())
def test_requests_in_two_pieces(request_: bytes) -> None:
    """Nor where between two bytes it is cut."""
    [whole] = read(request_).requests
    expected = seen(whole)
    for cut in range(len(request_)):
        [request] = read(request_[:cut], request_[cut:]).requests
        assert seen(request) == expected


def test_headers() -> None:
    """Names are in lower case and in their order; of two authorizations none counts."""
    head = b"GET / HTTP/1.1\r\nB: 1\r\nAuthorization: x\r\nb:2 \r\nauthorization: y\r\n\r\n"
    [request] = read(head).requests
    assert request.headers == [
        (b"b", b"1"),
        (b"authorization", b"x"),
        (b"b", b"2"),
        (b"authorization", b"y"),
    ]
    assert request.authorization == b""


def test_a_head_and_then_its_body() -> None:
    """A request is there once its head is; whether a head has begun is known."""
    reader = read(PUT[:20])
    assert (reader.is_in_head, reader.requests) == (True, [])
    reader.feed(PUT[20:-3])
    [request] = reader.requests
    assert (reader.is_in_head, request.is_complete, reader.unread) == (False, False, 4)
    assert request.take_body() == b"{'a'"
    assert reader.unread == 0
    reader.feed(PUT[-3:])
    assert (request.is_complete, request.take_body(), reader.unread) == (True, b":1}", 0)


def test_expect() -> None:
    """A request says whether its client waits for a 100 Continue, unless its version has none."""
    head = b"PUT / HTTP/1.%d\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"
    assert [read(head % minor).requests[0].expects_continue for minor in (1, 0)] == [True, False]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        UPGRADE.replace(b"Length: 0\r\n\r\n", b"Length: 2\r\n\r\n{}"),
        UPGRADE.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        b"CONNECT x:1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_nonsense(nonsense: bytes) -> None:
    """What is no HTTP, or could be taken for two different things, is the last that is read."""
    reader = read(GET, nonsense, GET)
    assert len(reader.requests) == 2
    assert problem_of(reader) is Malformed


def test_nonsense_in_a_body() -> None:
    """A body that breaks off in nonsense is never complete, and there is no second problem."""
    [request] = read(CHUNKED[:60], b"nonsense\r\n").requests
    assert (request.is_broken, request.is_complete, request.keeps_alive) == (True, False, False)
    assert request.problem is None


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"GET /" + b"a" * (MOST_TARGET - 1) + b" HTTP/1.1\r\n\r\n", None),
        (b"GET /" + b"a" * MOST_TARGET + b" HTTP/1.1\r\n\r\n", TargetTooLong),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * (MOST_HEAD - 1) + b"\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * MOST_HEAD + b"\r\n\r\n", HeadTooLarge),
        (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * MOST_FIELDS + b"\r\n", None),
        (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * (MOST_FIELDS + 1) + b"\r\n", HeadTooLarge),
    ],
    ids=["target", "long target", "header", "long header", "headers", "many headers"],
)
@pytest.mark.parametrize("size", [4096, 10**6])
def test_limits(head: bytes, problem: type[Exception] | None, size: int) -> None:
    """A head is taken up to its limits, and refused beyond them."""
    parts = [head[start : start + size] for start in range(0, len(head), size)]
    [request] = read(*parts).requests
    assert (type(request.problem) if request.problem else None) == problem


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nA: ",
        b"GET / HTTP/1.1\r\n",
        b"\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ",
    ],
    ids=["value", "name", "nothing", "extension", "trailer"],
)
def test_what_has_no_end(start: bytes) -> None:
    """No part of a request may go on without end, not even one that the server does not use."""
    reader = read(start)
    for _ in range(2 * MOST_HEAD // 4096):
        reader.feed((b"\r\n" if start == b"\r\n" else b"ab") * 2048)
    assert reader.is_over


def test_trailers_count() -> None:
    """Trailers count into the same limit as headers."""
    reader = read(CHUNKED[:-2], b"A: a\r\n" * (MOST_HEAD // 2 + 1) + b"\r\n")
    assert [request.is_broken for request in reader.requests] == [True]


def test_the_end() -> None:
    """A client that stops in the middle of a body has broken its request; in a head, made none."""
    reader = read(GET, PUT[:-2])
    reader.end()
    assert [request.is_broken for request in reader.requests] == [False, True]
    reader = read(GET, PUT[:20])
    reader.end()
    assert (len(reader.requests), reader.is_in_head, reader.is_over) == (1, False, True)


def test_after_the_last() -> None:
    """What comes after `Connection: close` is not read, and no error."""
    assert len(read(LAST + GET).requests) == 1
    assert len(read(LAST, GET, b"\x00").requests) == 1


#: Bytes that look like HTTP often enough to get somewhere.
PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *ALL, b"GET ", b"/ ", b"HTTP/1.1\r\n", b"\r\n", b"\n", b": ", b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"3\r\n",
            b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"abc", b"0\r\n\r\n",
            b"CONNECT x:1 HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ]
    ),
)  # fmt: skip


@given(st.lists(PIECES, max_size=12))
def test_whatever_comes(pieces: list[bytes]) -> None:
    """Reading never fails for any bytes, and only the last request has a problem or breaks."""
    reader = read(*pieces)
    reader.end()
    assert not any(request.problem or request.is_broken for request in reader.requests[:-1])


@given(st.lists(PIECES, max_size=12))
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    """All bytes mean the same in one piece and byte by byte."""
    data = b"".join(pieces)
    whole, by_bytes = read(data), read(*(data[at : at + 1] for at in range(len(data))))

    assert [told(it) for it in whole.requests] == [told(it) for it in by_bytes.requests]


def told(request: Request) -> tuple[object, ...]:
    """Return what of *request* does not depend on when it is looked at."""
    return (
        request.target,
        request.headers,
        request.authorization,
        request.keeps_alive,
        request.take_body() if request.is_complete else b"",
        request.is_broken,
        request.is_complete,
    )


def read_and_take(pieces: Iterable[bytes]) -> list[tuple[object, ...]]:
    """Return what is told of the requests in *pieces*, each taken up before more is read."""
    reader, taken = Reader(), list[Request]()
    for piece in pieces:
        reader.feed(piece)
        taken += reader.requests
        reader.requests.clear()
    return [told(request) for request in taken]


#: A client that repeats itself, in pieces that mean something else than they seem to.
REPEATS = st.sampled_from(
    [
        GET, GET.replace(b"a=b", b"since=1~2"), GET.replace(b"sync", b"%ff"),
        GET.replace(b"/sync", b"http://x/"), GET.replace(b"?", b"?\x7f"), GET[:9], GET[9:],
        GET.replace(b" HTTP/1.1", b" HTTP/1.0"), GET.replace(b"GET", b"HEAD"), b"\r\n", PUT,
        PUT[:-3], WEBSOCKET, LAST, b"X: GET /sync HTTP/1.1\r\n", GET + GET,
    ]
)  # fmt: skip


@given(st.lists(REPEATS | PIECES, max_size=12))
def test_repeating_oneself(pieces: list[bytes]) -> None:
    """Header fields that come again are understood as if they came byte by byte."""
    by_bytes = (bytes([byte]) for piece in pieces for byte in piece)
    assert read_and_take(pieces) == read_and_take(by_bytes)


def test_what_is_repeated_is_not_parsed() -> None:
    """Header fields that come again are those of before, not others that are equal."""
    reader, taken = Reader(), list[Request]()
    for data in (GET, GET.replace(b"a=b", b"a=c"), PUT, GET, GET):
        reader.feed(data)
        taken.append(reader.requests.pop())
    first, second, _, third, fourth = (request.headers for request in taken)
    assert [second is first, third is first, fourth is third] == [True, False, True]

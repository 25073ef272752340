"""Requests that differ from the last one in their target only."""

import pytest

from lamplighter.web.http.reader import Reader
from lamplighter.web.http.repeats import fields_of
from lamplighter.web.http.request import Request

FIELDS = b"Host: x\r\nAuthorization: Bearer t\r\n\r\n"
GET = b"GET /sync?since=1 HTTP/1.1\r\n" + FIELDS


def parsed(data: bytes) -> Request:
    """Return the one request in *data*, as a parser understands it."""
    reader = Reader()
    reader.feed(data)
    [request] = reader.requests
    return request


@pytest.mark.parametrize("since", [b"since=2~%41", b"since=2&filter=" + b"%7B%22" * 600])
def test_a_repeated_request(since: bytes) -> None:
    """What differs in its target only is made without a parser, of the same headers: a filter of
    3,600 characters may stand in it.
    """
    first = parsed(GET)
    fields = fields_of(GET, first)
    assert fields is not None
    again = GET.replace(b"since=1", since)
    made, expected = fields.repeated(again), parsed(again)
    assert made is not None
    assert made.headers is first.headers
    for name in Request.__struct_fields__:
        assert getattr(made, name) == getattr(expected, name)


@pytest.mark.parametrize(
    "data",
    [
        GET.replace(b"GET", b"PUT"),
        GET.replace(b"1.1", b"1.0"),
        GET.replace(b"/sync", b"http://x/sync"),
        GET.replace(b"since=1", b'since="1"'),
        GET.replace(b"since=1", b"since=1 HTTP/1.1\r\nX: y"),
        GET.replace(b"since=1", b"since=" + b"1" * 4096),
        GET.replace(b"Bearer t", b"Bearer u"),
        GET + GET,
        GET[:-1],
        GET[1:],
        FIELDS,
    ],
)
def test_another_request(data: bytes) -> None:
    """Anything else needs the parser."""
    fields = fields_of(GET, parsed(GET))
    assert fields is not None
    assert fields.repeated(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"PUT /status HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 4096 + b"\r\n\r\n",
    ],
)
def test_fields_that_need_a_parser(data: bytes) -> None:
    """Fields that say something of the body or the connection, or are long, are not kept."""
    assert fields_of(data, parsed(data)) is None

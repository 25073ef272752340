"""The beginnings of responses."""

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.web.application import JSON_HEADERS
from lamplighter.web.http.responses import Heads, chunk, field_lines
from tests.web.http.peer import CORS, DATE


def test_json() -> None:
    """A head for JSON has all that such an answer needs, and what it is given."""
    head = Heads(FakeClock(), JSON_HEADERS).json(
        429, b"{}", ((b"retry-after", b"3"),), b"connection: close\r\n"
    )
    assert head.decode() == (
        f"HTTP/1.1 429 Too Many Requests\r\n{DATE}content-type: application/json\r\n{CORS}"
        "content-length: 2\r\nretry-after: 3\r\nconnection: close\r\n\r\n"
    )


def test_plain() -> None:
    """A plain head is the status, known or not, and the date."""
    heads = Heads(FakeClock(), JSON_HEADERS)
    assert heads.plain(204).decode() == f"HTTP/1.1 204 No Content\r\n{DATE}"
    assert heads.plain(299).decode() == f"HTTP/1.1 299 \r\n{DATE}"


def test_the_date() -> None:
    """The date is that of the last renewal."""
    clock = FakeClock()
    heads = Heads(clock, JSON_HEADERS)
    for kind in (heads.plain, lambda status: heads.json(status, b"", (), b"")):
        heads.renew()
        before = kind(200)
        clock.advance(seconds=1)
        assert kind(200) == before
        heads.renew()
        assert kind(200) != before


def test_fields() -> None:
    """Header fields stand in lines; one that would begin another line is refused."""
    assert field_lines([(b"a", b"b"), (b"c", b"")]) == b"a: b\r\nc: \r\n"
    assert field_lines([]) == b""
    for value in (b"x\r\nset-cookie: y", b"x\ny", b"x\ry"):
        with pytest.raises(ValueError, match="a line break in a header"):
            field_lines([(b"a", value)])


def test_chunk() -> None:
    """A chunk tells its length, in hexadecimal."""
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"


def test_one_body_is_one_response() -> None:
    """Those to whom one body is sent get one piece of memory, until the time in it has passed."""
    heads = Heads(FakeClock(), JSON_HEADERS)
    body = b'{"next_batch":"1"}'
    response = heads.with_json(200, body, (), b"")
    assert heads.with_json(200, body, (), b"") is response
    assert response == heads.json(200, body, (), b"") + body
    heads.renew()
    assert heads.with_json(200, body, (), b"") is not response


@pytest.mark.parametrize(
    ("status", "headers", "connection"),
    [(404, (), b""), (200, ((b"a", b"b"),), b""), (200, (), b"connection: close\r\n")],
)
def test_responses_that_say_more(
    status: int, headers: tuple[tuple[bytes, bytes], ...], connection: bytes
) -> None:
    """A response that is not the usual one is made for itself, after the usual one too."""
    heads = Heads(FakeClock(), JSON_HEADERS)
    body = b"{}"
    heads.with_json(200, body, (), b"")
    response = heads.with_json(status, body, headers, connection)
    assert response == heads.json(status, body, headers, connection) + body

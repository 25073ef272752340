"""From bytes to typed values."""

from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.types import Message

from lamplighter.errors import BadJson, LamplighterError, MissingParam, NotJson, TooLarge
from lamplighter.web.body import MAX_BODY, convert, decode, read


class Device(msgspec.Struct):
    """A shape inside a shape."""

    name: str


class Shape(msgspec.Struct):
    """A shape with all that can go wrong."""

    displayname: str
    count: int = 0
    devices: list[Device] = []
    labels: list[str] = []
    content: dict[str, Any] = {}


def nested(levels: int) -> bytes:
    """Return JSON nested as deep."""
    return b'{"displayname":"x","content":{"a":' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"


def test_a_body_becomes_a_value() -> None:
    """A body of the right shape is decoded; unknown fields are dropped."""
    body = b'{"displayname": "Bob \\u2603", "content": {"a": 1.5}, "other": null}'
    assert decode(body, Shape) == Shape("Bob ☃", content={"a": 1.5})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "body: expected object, got array"),
        (b"null", "body: expected object, got null"),
        (b'"text"', "body: expected object, got str"),
        (b'{"displayname": 1}', "displayname: expected str, got int"),
        (b'{"displayname": null}', "displayname: expected str, got null"),
        (b'{"displayname": "x", "count": true}', "count: expected int, got bool"),
        (b'{"displayname": "x", "count": 1.5}', "count: expected int, got float"),
        (b'{"displayname": "x", "labels": ["a", 2]}', "labels[1]: expected str, got int"),
        (
            b'{"displayname": "x", "devices": [{"name": []}]}',
            "devices[0].name: expected str, got array",
        ),
        (b'{"displayname": "x", "content": {"a": 1e999}}', "content[...]: number out of range"),
        (
            b'{"displayname": "x", "count": ' + b"9" * 5000 + b"}",
            "count: integer value out of range",
        ),
    ],
)
def test_a_wrong_type_names_the_field(body: bytes, message: str) -> None:
    """A body of another shape is M_BAD_JSON, and says which field it is and what it should be."""
    with pytest.raises(BadJson) as error:
        decode(body, Shape)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "displayname: missing"),
        (b'{"displayname": "x", "devices": [{}]}', "devices[0].name: missing"),
    ],
)
def test_a_missing_field_is_named(body: bytes, message: str) -> None:
    """A field that must be there and is not is M_MISSING_PARAM, by its name."""
    with pytest.raises(MissingParam) as error:
        decode(body, Shape)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"displayname": "x"}}',
        b"not json",
        b"\xff\xfe",
        b'{"displayname": "\xff"}',
        b'{"displayname": "x", "dropped": "\xff"}',
        b'\xef\xbb\xbf{"displayname": "x"}',
        b'{"displayname": NaN}',
        b'{"displayname": "\\ud800"}',
        b'{"displayname": "\\udc00\\ud800"}',
        b'{"displayname": "a\0b"}',
        b"\0",
    ],
)
def test_what_is_not_json_is_said_to_be(body: bytes) -> None:
    """No JSON, no UTF-8, NaN, half a surrogate pair, a bare NUL: M_NOT_JSON."""
    with pytest.raises(NotJson, match="The body is not JSON"):
        decode(body, Shape)


def test_an_escaped_nul_is_text() -> None:
    """A NUL that is written as JSON wants it is part of the string."""
    assert decode(b'{"displayname": "a\\u0000b"}', Shape) == Shape("a\0b")


@pytest.mark.parametrize("number", [2**53, 2**64, -(10**40), 1e300, 0.1])
def test_numbers_of_any_size_survive(number: float) -> None:
    """A number in content that means nothing to the server comes out as it went in."""
    body = msgspec.json.encode({"a": number})
    assert decode(body, dict[str, Any]) == {"a": number}
    assert msgspec.json.encode(decode(body, dict[str, Any])) == body


def test_deep_json_is_refused() -> None:
    """100 levels are taken, one more is M_BAD_JSON, and no depth is an accident."""
    assert decode(nested(100), Shape).displayname == "x"
    for levels in (101, 1_000, 30_000):
        with pytest.raises(BadJson, match="100 levels"):
            decode(nested(levels), Shape)


@pytest.mark.parametrize("text", ["[" * 500, "\\\\" + "[" * 500, '\\"' * 300 + "{" * 300])
def test_brackets_in_text_are_not_depth(text: str) -> None:
    """Brackets inside a string count for nothing, also after escaped characters."""
    content = msgspec.json.decode(f'{{"displayname": "{text}"}}')
    assert decode(f'{{"displayname": "{text}"}}'.encode(), Shape) == Shape(**content)
    assert decode(f'"{text}"'.encode(), str) == content["displayname"]


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """A long flat list of objects is taken."""
    body = msgspec.json.encode({"displayname": "x", "devices": [{"name": "a"}] * 1000})
    assert len(decode(body, Shape).devices) == 1000


def test_a_body_made_to_be_slow_is_not() -> None:
    """An unterminated string of escaped quotes is gone through once, not once per quote.

    At once per quote this test would run for days.
    """
    body = b'{"displayname":' + b"[" * 60 + b"]" * 60 + b"[" * 60 + b'"' + b'\\"' * 4_000_000
    with pytest.raises(BadJson, match="displayname: expected str"):
        decode(body, Shape)


def test_decoded_json_is_checked_alike() -> None:
    """`convert` does for decoded JSON what `decode` does for bytes."""
    assert convert({"displayname": "x"}, Shape) == Shape("x")
    with pytest.raises(BadJson, match=r"^displayname: expected str, got int$"):
        convert({"displayname": 1}, Shape)
    with pytest.raises(MissingParam, match=r"^displayname: missing$"):
        convert({}, Shape)


def request(*chunks: bytes, length: int | None = None) -> tuple[Request, list[bytes]]:
    """Return a request whose body comes in *chunks*, and the list of those that are not read."""
    left = list(chunks)

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return Request({"type": "http", "headers": headers}, receive), left


@pytest.mark.parametrize(
    ("body", "as_read", "as_optional"),
    [
        (b'{"displayname": "x"}', Shape("x"), Shape("x")),
        (b"", NotJson, MissingParam),
        (b"nonsense", NotJson, NotJson),
    ],
)
async def test_an_empty_body_may_stand_for_an_empty_object(
    body: bytes, as_read: object, as_optional: object
) -> None:
    """`read` wants a body, unless an empty one may stand for `{}`."""
    outcomes: list[object] = []
    for may_be_empty in (False, True):
        try:
            outcomes.append(await read(request(body)[0], Shape, may_be_empty=may_be_empty))
        except LamplighterError as error:
            outcomes.append(type(error))
    assert outcomes == [as_read, as_optional]


@pytest.mark.parametrize(("length", "chunks_read"), [(MAX_BODY + 1, 0), (None, 3)])
async def test_a_body_that_is_too_long_is_not_read_to_the_end(
    length: int | None, chunks_read: int
) -> None:
    """A Content-Length beyond the limit is M_TOO_LARGE before a single byte is read; without one,
    reading stops as soon as the limit is passed.
    """
    asking, left = request(*[b"x" * (MAX_BODY // 2)] * 10, length=length)
    with pytest.raises(TooLarge):
        await read(asking, Shape)
    assert len(left) == 10 - chunks_read

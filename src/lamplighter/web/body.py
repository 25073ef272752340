"""From the bytes of a request to a typed value, with errors that name the field."""

import re
from itertools import accumulate
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from lamplighter.errors import BadJson, MissingParam, NotJson, TooLarge
from lamplighter.msgspec_errors import read_mistake

__all__ = [
    "MAX_BODY",
    "announced_length",
    "bounded",
    "convert",
    "decode",
    "read",
    "read_bytes",
]

T = TypeVar("T")

#: How long a body may be, in bytes: an event of the largest size, and its envelope.
MAX_BODY: Final = 68 * 1024
#: How deep JSON may be nested. Far beyond what people send, and far below what any JSON library
#: that meets the value later can take.
MAX_DEPTH: Final = 100

#: An unterminated string reaches to the end: so the search is linear for every body.
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
#: A bracket as the step it is, in a signed byte.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))


async def read(request: Request, shape: type[T], *, may_be_empty: bool = False) -> T:
    """Return the body of *request* as a *shape*; raise what `decode` raises, or `TooLarge`.

    Where the body *may_be_empty*, an empty one stands for an empty object.
    """
    body = await read_bytes(request, MAX_BODY)
    return decode(body or b"{}" if may_be_empty else body, shape)


def bounded(body: bytes) -> bytes:
    """Return *body*; raise `TooLarge` if it is longer than `MAX_BODY`."""
    if len(body) > MAX_BODY:
        raise TooLarge(f"The body is longer than {MAX_BODY} bytes")
    return body


def decode(body: bytes, shape: type[T]) -> T:
    """Return *body* as a *shape*, any type that msgspec knows; unknown fields are dropped.

    Raises `NotJson`, `BadJson` (with the field's name) or `MissingParam`.
    """
    if _depth(body) > MAX_DEPTH:
        raise BadJson(f"The body is nested more than {MAX_DEPTH} levels deep")
    try:
        # As text: in a field that it drops, msgspec would let broken UTF-8 pass.
        return msgspec.json.decode(body.decode(), type=shape)
    except msgspec.ValidationError as error:
        raise _named(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The body is not JSON: {error}") from None


def convert(value: Any, shape: type[T]) -> T:
    """Do as `decode` with JSON that is decoded already; raise `BadJson` or `MissingParam`."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise _named(error) from None


def announced_length(request: Request) -> int | None:
    """Return how long the body is, as the header says; None where no header says it."""
    announced = request.headers.get("content-length", "")
    return int(announced[:20]) if announced.isdecimal() else None


async def read_bytes(request: Request, limit: int) -> bytes:
    """Return the body of *request* as it came; raise `TooLarge` beyond *limit* bytes."""
    if (announced_length(request) or 0) > limit:
        raise TooLarge(f"The body is longer than {limit} bytes")
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise TooLarge(f"The body is longer than {limit} bytes")
        body += chunk
    return bytes(body)


def _depth(body: bytes) -> int:
    """Return how deep *body* is nested, or a number that is no greater than the limit."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    # Not in a Python loop: with a body of megabytes, no other request would be answered meanwhile.
    steps = _STRING.sub(b"", body).translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def _named(error: msgspec.ValidationError) -> BadJson | MissingParam:
    """Return msgspec's error in our own form: `devices[1]: expected str, got int`."""
    mistake = read_mistake(error)
    if mistake.missing:
        return MissingParam(f"{mistake.path}.{mistake.missing}: missing".lstrip("."))
    text = mistake.problem.replace("`", "")
    return BadJson(f"{mistake.path or 'body'}: {text[:1].lower()}{text[1:]}")

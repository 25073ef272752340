"""The bounds of text and JSON that clients may have stored."""

from typing import Final

import msgspec

from lamplighter.errors import BadJson, InvalidParam, TooLarge
from lamplighter.ports import Json

__all__ = [
    "MAX_EVENT_BYTES",
    "MAX_ID_BYTES",
    "MAX_JSON_BYTES",
    "decode_json",
    "encode_json",
    "text_within",
]

#: Bytes of one event's content, one piece of account data, one filter.
MAX_JSON_BYTES: Final = 64 * 1024
#: Bytes of a whole event
#: (<https://spec.matrix.org/latest/client-server-api/#size-limits>).
MAX_EVENT_BYTES: Final = 65_536
#: Bytes of an event type, a state key, a device or transaction ID.
MAX_ID_BYTES: Final = 255


def encode_json(what: str, value: Json, *, in_order: bool = False) -> str:
    """Return *value* as text; raise `TooLarge` or `BadJson`, which name it by *what*.

    With the keys *in_order*, equal values have equal texts.
    """
    try:
        encoded = msgspec.json.encode(value, order="deterministic" if in_order else None)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadJson(f"{what}: cannot be kept as JSON ({error})") from error
    if len(encoded) > MAX_JSON_BYTES:
        raise TooLarge(f"{what}: {len(encoded)} bytes, where {MAX_JSON_BYTES} are allowed")
    return encoded.decode()


def decode_json(text: str) -> Json:
    """Return the value whose text `encode_json` made."""
    value: Json = msgspec.json.decode(text)
    return value


def text_within(what: str, text: str, max_bytes: int = MAX_ID_BYTES) -> str:
    """Return *text* if it can be stored; raise `TooLarge` or `InvalidParam`, which name it."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidParam(f"{what}: not valid Unicode") from error
    if size > max_bytes:
        raise TooLarge(f"{what}: {size} bytes, where {max_bytes} are allowed")
    if "\0" in text:
        raise InvalidParam(f"{what}: must not contain NUL")
    return text

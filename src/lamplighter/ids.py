"""Matrix identifiers: their types, and the grammars that say which strings are valid.

Implements the identifier grammar of the specification's appendices
(<https://spec.matrix.org/latest/appendices/#identifier-grammar>).
At run time an identifier is a plain string. The NewTypes let the type checker tell user IDs
from room IDs, at no cost.
"""

import re
from typing import Final, NewType

from lamplighter.errors import InvalidId

__all__ = [
    "DeviceId",
    "RoomAlias",
    "RoomId",
    "ServerName",
    "StreamEpoch",
    "StreamPosition",
    "UserId",
    "is_user_id",
    "localpart_of",
    "parse_localpart",
    "parse_room_alias",
    "parse_room_id",
    "parse_server_name",
    "parse_user_id",
    "server_of",
]

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
RoomId = NewType("RoomId", str)
RoomAlias = NewType("RoomAlias", str)
ServerName = NewType("ServerName", str)

#: A place in the stream of presence changes. A later change has a larger position, also after
#: a restart. `cluster/positions.py` says how positions are written.
StreamPosition = NewType("StreamPosition", int)

#: Eight hexadecimal digits that say which stream a position is of: lost data begin another epoch.
StreamEpoch = NewType("StreamEpoch", str)

#: The greatest length of an identifier in bytes, including sigil and server name.
MAX_ID_BYTES: Final = 255

_SERVER: Final = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.\-]{1,230})(?::[0-9]{1,5})?"
_SERVER_NAME: Final = re.compile(_SERVER)
#: Historical user IDs may contain any printable ASCII character except the colon. Users of other
#: servers may have such IDs.
_USER_ID: Final = re.compile(rf"@[\x21-\x39\x3B-\x7E]*:{_SERVER}")
#: One character of an opaque name: no colon, no NUL, and nothing that UTF-8 cannot encode.
_OPAQUE: Final = r"[^:\0\ud800-\udfff]"
_ROOM_ID: Final = re.compile(rf"!{_OPAQUE}+(?::{_SERVER})?")
_ROOM_ALIAS: Final = re.compile(rf"#{_OPAQUE}*:{_SERVER}")
#: The strict grammar, for new users of this server.
_LOCALPART: Final = re.compile(r"[a-z0-9._=\-/+]+")


def is_user_id(text: object) -> bool:
    """Return whether *text* is a well-formed user ID, possibly a historical one."""
    return (
        isinstance(text, str) and _USER_ID.fullmatch(text) is not None and len(text) <= MAX_ID_BYTES
    )


def parse_user_id(text: str) -> UserId:
    """Return *text* as a user ID. Raises `InvalidId` if it is malformed."""
    if not is_user_id(text):
        raise InvalidId("user ID", text, "@localpart:server.name")
    return UserId(text)


def parse_room_id(text: str) -> RoomId:
    """Return *text* as a room ID. Raises `InvalidId` if it is malformed."""
    return RoomId(_parse("room ID", text, _ROOM_ID, "!opaque:server.name"))


def parse_room_alias(text: str) -> RoomAlias:
    """Return *text* as a room alias. Raises `InvalidId` if it is malformed."""
    return RoomAlias(_parse("room alias", text, _ROOM_ALIAS, "#alias:server.name"))


def parse_server_name(text: str) -> ServerName:
    """Return *text* as a server name. Raises `InvalidId` if it is malformed."""
    return ServerName(_parse("server name", text, _SERVER_NAME, "host or host:port"))


def parse_localpart(text: str) -> str:
    """Return *text* as the localpart of a new user. Raises `InvalidId` if it is malformed."""
    return _parse("localpart", text, _LOCALPART, "a-z, 0-9 and . _ = - / +")


def server_of(user_id: UserId | RoomAlias) -> ServerName:
    """Return the server name of a well-formed user ID or room alias."""
    return ServerName(user_id.split(":", 1)[1])


def localpart_of(user_id: UserId) -> str:
    """Return the part of a user ID between the sigil and the first colon."""
    return user_id[1:].split(":", 1)[0]


def _parse(kind: str, text: str, grammar: re.Pattern[str], example: str) -> str:
    if grammar.fullmatch(text) is None or len(text.encode()) > MAX_ID_BYTES:
        raise InvalidId(kind, text, example)
    return text

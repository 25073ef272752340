"""Matrix identifiers: what they are called, and which strings may be one.

Implements the identifier grammar of the specification's appendices
(<https://spec.matrix.org/latest/appendices/#identifier-grammar>).
An identifier is a plain string at run time; the NewTypes keep user IDs, room IDs
and the rest apart for the type checker, at no cost.
"""

import re
from typing import Final, NewType

from lamplighter.errors import InvalidId

__all__ = [
    "DeviceId",
    "RoomAlias",
    "RoomId",
    "ServerName",
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

#: A place in the stream of presence changes. Later changes have larger positions,
#: across restarts too. `cluster/positions.py` tells how they are written.
StreamPosition = NewType("StreamPosition", int)

#: An identifier is at most this many bytes long, sigil and server name included.
MAX_ID_BYTES: Final = 255

_SERVER: Final = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.\-]{1,230})(?::[0-9]{1,5})?"
_SERVER_NAME: Final = re.compile(_SERVER)
#: Historical user IDs may hold any printable ASCII but the colon: remote ones are accepted so.
_USER_ID: Final = re.compile(rf"@[\x21-\x39\x3B-\x7E]*:{_SERVER}")
#: What may stand in a name: no colon, and what UTF-8 can write.
_OPAQUE: Final = r"[^:\0\ud800-\udfff]"
_ROOM_ID: Final = re.compile(rf"!{_OPAQUE}+(?::{_SERVER})?")
_ROOM_ALIAS: Final = re.compile(rf"#{_OPAQUE}*:{_SERVER}")
#: New users of this server get the strict grammar.
_LOCALPART: Final = re.compile(r"[a-z0-9._=\-/+]+")


def is_user_id(text: object) -> bool:
    """Tell whether *text* is a well-formed user ID, historical ones included."""
    return (
        isinstance(text, str) and _USER_ID.fullmatch(text) is not None and len(text) <= MAX_ID_BYTES
    )


def parse_user_id(text: str) -> UserId:
    """Return *text* as a user ID; raise `InvalidId` if it is not one."""
    if not is_user_id(text):
        raise InvalidId("user ID", text, "@localpart:server.name")
    return UserId(text)


def parse_room_id(text: str) -> RoomId:
    """Return *text* as a room ID; raise `InvalidId` if it is not one."""
    return RoomId(_parse("room ID", text, _ROOM_ID, "!opaque:server.name"))


def parse_room_alias(text: str) -> RoomAlias:
    """Return *text* as a room alias; raise `InvalidId` if it is not one."""
    return RoomAlias(_parse("room alias", text, _ROOM_ALIAS, "#alias:server.name"))


def parse_server_name(text: str) -> ServerName:
    """Return *text* as a server name; raise `InvalidId` if it is not one."""
    return ServerName(_parse("server name", text, _SERVER_NAME, "host or host:port"))


def parse_localpart(text: str) -> str:
    """Return *text* as the localpart of a new user; raise `InvalidId` if the grammar forbids it."""
    return _parse("localpart", text, _LOCALPART, "a-z, 0-9 and . _ = - / +")


def server_of(user_id: UserId | RoomAlias) -> ServerName:
    """Return the server name of a well-formed user ID or room alias."""
    return ServerName(user_id.split(":", 1)[1])


def localpart_of(user_id: UserId) -> str:
    """Return what stands between the sigil and the colon."""
    return user_id[1:].split(":", 1)[0]


def _parse(kind: str, text: str, grammar: re.Pattern[str], example: str) -> str:
    if grammar.fullmatch(text) is None or len(text.encode()) > MAX_ID_BYTES:
        raise InvalidId(kind, text, example)
    return text

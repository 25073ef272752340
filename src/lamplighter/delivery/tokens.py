"""Since tokens: `<rooms part>~<ms>-<seq>-<mark>`.

The rooms part belongs to the directory and is opaque here. The mark is the server's own: a token
of another server is no position of ours. No token is an error; one that cannot be used is
answered with everything the viewer may see (`GET /sync`,
<https://spec.matrix.org/latest/client-server-api/#syncing>).
"""

import zlib
from dataclasses import dataclass

from lamplighter.cluster.positions import format_position, parse_position
from lamplighter.ids import ServerName, StreamPosition

__all__ = ["SinceToken", "Tokens"]


@dataclass(frozen=True, slots=True)
class SinceToken:
    """What a token says; a part is None where it says nothing that we understand."""

    rooms: str | None
    presence: StreamPosition | None


class Tokens:
    """Writes and reads the tokens of one server."""

    def __init__(self, server_name: ServerName) -> None:
        self._mark = f"{zlib.crc32(server_name.encode()):08x}"

    def write(self, rooms: str, presence: StreamPosition) -> str:
        """Return the token of a response that tells everything up to here."""
        return f"{rooms}~{format_position(presence)}-{self._mark}"

    def read(self, text: str) -> SinceToken:
        """Return what *text* says; garbage says nothing."""
        rooms, separator, presence = text.rpartition("~")
        position, _, mark = presence.rpartition("-")
        if not separator or mark != self._mark:
            return SinceToken(None, None)
        return SinceToken(rooms, parse_position(position))

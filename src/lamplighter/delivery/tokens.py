"""Since tokens: `<rooms part>~<ms>-<seq>-<epoch>`, or `<rooms part>~<ms>-<seq>-<node>-<epoch>`.

The rooms part belongs to the homeserver and is opaque here. The position is one of the stream, and
the epoch says of which: a stream whose data are lost begins another epoch, and a token of another
epoch, or of another server, is no position of this one. A restart goes on with the epoch.

In a cluster, the low bits of a position may be of one node alone (`cluster/positions.py`): then the
token names the node. Any other node reads the position of the entry before it. If the node has
still to tell something that happened earlier (`unsettled.py`), the token names an earlier position
for the others: `<rooms part>~<ms>-<seq>-<node>-<ms>-<seq>-<epoch>`. So a client that goes from one
node to another may be told something twice, and misses nothing. The other node waits until it has
reached the later position: otherwise it could tell the client an older state than the last one.

No token is an error; one that cannot be used is answered with everything the viewer may see
(`GET /sync`, <https://spec.matrix.org/latest/client-server-api/#syncing>).
"""

import re
import zlib
from dataclasses import dataclass, replace
from typing import Final

from lamplighter.cluster.positions import BEGINNING, format_position, parse_position, record_of
from lamplighter.ids import ServerName, StreamEpoch, StreamPosition

__all__ = ["OUR_PART", "SinceToken", "Tokens", "UpstreamTokens", "epoch_of_name"]


#: What `Tokens.write` adds to the rooms part and a tilde, as a regular expression.
OUR_PART: Final = r"[0-9]+-[0-9]+(?:-[0-9a-z]+(?:-[0-9]+-[0-9]+)?)?-[0-9a-f]{8}"
_OURS: Final = re.compile(OUR_PART)


@dataclass(frozen=True, slots=True)
class SinceToken:
    """The parts of a token; a part that means nothing to this server is None."""

    rooms: str | None
    presence: StreamPosition | None
    #: Another node has told some of what happened after `presence`, up to here; None: nothing.
    seen: StreamPosition | None = None


class Tokens:
    """Writes and reads the tokens of one epoch."""

    def __init__(self, epoch: StreamEpoch, node: str = "") -> None:
        """*node* is the mark of this node of a cluster, since its start; "" is a single node."""
        self._epoch = epoch
        self._node = node

    def write(self, rooms: str, presence: StreamPosition, told_until: StreamPosition) -> str:
        """Return the token of a response that holds what this node has told up to *presence*.

        *told_until* is up to where that is everything; it is *presence* or earlier.
        """
        here = format_position(presence)
        if not self._node or presence == told_until == record_of(presence):
            return f"{rooms}~{here}-{self._epoch}"
        if told_until == presence:
            return f"{rooms}~{here}-{self._node}-{self._epoch}"
        elsewhere = format_position(record_of(told_until))
        return f"{rooms}~{here}-{self._node}-{elsewhere}-{self._epoch}"

    def read(self, text: str) -> SinceToken:
        """Return what *text* says; both parts of garbage are None."""
        rooms, separator, presence = text.rpartition("~")
        position, _, epoch = presence.rpartition("-")
        if not separator or epoch != self._epoch:
            return SinceToken(None, None)
        ms, _, others = position.partition("-")
        seq, names_node, others = others.partition("-")
        known = parse_position(f"{ms}-{seq}")
        if not names_node or known is None:
            return SinceToken(rooms, known)
        node, is_earlier, elsewhere = others.partition("-")
        if node == self._node:
            return SinceToken(rooms, known)
        if is_earlier:
            return SinceToken(rooms, parse_position(elsewhere), record_of(known))
        return SinceToken(rooms, record_of(known))


class UpstreamTokens(Tokens):
    """The tokens of a server in front of a homeserver, whose own tokens are the rooms parts.

    Such a token may hold tildes. It is accepted without a part of ours, as clients have it that
    come from the homeserver; presence is then told in full.
    """

    def __init__(self, epoch: StreamEpoch, node: str = "", *, presence_is_on: bool) -> None:
        """Without presence, tokens are the homeserver's own: clients can do without this server."""
        super().__init__(epoch, node)
        self._presence_is_on = presence_is_on

    def write(self, rooms: str, presence: StreamPosition, told_until: StreamPosition) -> str:
        return super().write(rooms, presence, told_until) if self._presence_is_on else rooms

    def read(self, text: str) -> SinceToken:
        rooms, _, presence = text.rpartition("~")
        if not rooms or _OURS.fullmatch(presence) is None:
            # Without presence, a client has such a token because it was told that all are offline.
            return SinceToken(text, None if self._presence_is_on else BEGINNING)
        return replace(super().read(text), rooms=rooms)


def epoch_of_name(server_name: ServerName) -> StreamEpoch:
    """Return the epoch in the tokens of servers that stored none: it only says which server."""
    return StreamEpoch(f"{zlib.crc32(server_name.encode()):08x}")

"""The body of an answer to `/sync`: written once for all viewers who get the same."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Final, TypeAlias

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.delivery.tokens import Tokens
from lamplighter.ids import StreamPosition
from lamplighter.pieces import Pieces, portions
from lamplighter.presence.state import UserPresenceState
from lamplighter.web.client.long_poll import News
from lamplighter.web.client.presence_events import PresenceEncoder

__all__ = ["SyncBodies"]

#: Different bodies of one millisecond that are cached.
_MOST_KEPT: Final = 100
#: How long an answer without presence is, in bytes, if it is cached.
_SMALL: Final = 1_024
#: How many users' presence is written at a time.
_AT_A_TIME: Final = 500

_Key: TypeAlias = tuple[str, StreamPosition, StreamPosition, int]


class SyncBodies:
    """Writes answers. The answers to all viewers of one change are the same bytes object."""

    def __init__(self, tokens: Tokens, encoder: PresenceEncoder) -> None:
        self._tokens = tokens
        self._encoder = encoder
        self._written_at = Timestamp(0)
        #: By the only state, which stands beside the body so that its identity stays its own.
        self._written: dict[_Key, tuple[UserPresenceState, bytes]] = {}
        #: Polls that end at one time without news have the same answer.
        self._without_presence = lru_cache(_MOST_KEPT)(
            lambda rooms, position, told_until: self._write(
                News(rooms, position, told_until, (), Timestamp(0))
            )
        )

    def encode(self, news: News) -> bytes | Iterator[bytes]:
        """Return *news* as JSON; what is large is made only while it is gone through."""
        rooms = news.rooms
        if isinstance(rooms.body, Pieces) or len(news.states) > _AT_A_TIME:
            made = portions(self._written_in_pieces(news))
            first, second = next(made), next(made, None)
            return first if second is None else chain((first, second), made)
        if not news.states and len(rooms.body) <= _SMALL:
            return self._without_presence(rooms, news.position, news.told_until)
        if len(news.states) != 1 or rooms.body != b"{}":
            return self._write(news)
        if news.now != self._written_at or len(self._written) > _MOST_KEPT:
            self._written.clear()
            self._written_at = news.now
        state = news.states[0]
        key = (rooms.next_batch, news.position, news.told_until, id(state))
        known = self._written.get(key)
        if known is None:
            known = self._written[key] = state, self._write(news)
        return known[1]

    def _write(self, news: News) -> bytes:
        return b"".join(self._written_in_pieces(news))

    def _written_in_pieces(self, news: News) -> Iterator[bytes]:
        rooms, position = news.rooms, news.position
        next_batch = self._tokens.write(rooms.next_batch, position, news.told_until)
        yield b'{"next_batch":%b' % msgspec.json.encode(next_batch)
        if news.states:
            yield b',"presence":{"events":['
            for start in range(0, len(news.states), _AT_A_TIME):
                events = self._encoder.encode(news.states[start : start + _AT_A_TIME], news.now)
                yield b",%b" % events if start else events
            yield b"]}"
        body = rooms.body
        if body == b"{}":
            yield b"}"
            return
        # The members of the rooms half come after ours, as they are, and unparsed.
        pieces = iter(body if isinstance(body, Pieces) else (body,))
        yield b",%b" % next(pieces)[1:]
        yield from pieces

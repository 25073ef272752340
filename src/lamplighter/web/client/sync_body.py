"""The body of an answer to `/sync`: written once for all who are told the same."""

from typing import Final, TypeAlias

import msgspec

from lamplighter.clock import Clock, Timestamp
from lamplighter.delivery.tokens import Tokens
from lamplighter.ids import StreamPosition
from lamplighter.presence.state import UserPresenceState
from lamplighter.web.client.long_poll import News
from lamplighter.web.client.presence_events import PresenceEncoder

__all__ = ["SyncBodies"]

#: So many different bodies of one millisecond are kept.
_MOST_KEPT: Final = 100

_Key: TypeAlias = tuple[str, StreamPosition, int]


class SyncBodies:
    """Writes answers; those to watchers of one change are one piece of memory."""

    def __init__(self, tokens: Tokens, encoder: PresenceEncoder, clock: Clock) -> None:
        self._tokens = tokens
        self._encoder = encoder
        self._clock = clock
        self._written_at = Timestamp(0)
        #: By the only state, which stands beside the body so that its identity stays its own.
        self._written: dict[_Key, tuple[UserPresenceState, bytes]] = {}

    def encode(self, news: News) -> bytes:
        """Return *news* as JSON."""
        rooms = news.rooms
        if len(news.states) != 1 or rooms.rooms is not None or rooms.account_data is not None:
            return self._write(news)
        now = self._clock.now()
        if now != self._written_at or len(self._written) > _MOST_KEPT:
            self._written.clear()
            self._written_at = now
        state = news.states[0]
        key = (rooms.next_batch, news.position, id(state))
        known = self._written.get(key)
        if known is None:
            known = self._written[key] = state, self._write(news)
        return known[1]

    def _write(self, news: News) -> bytes:
        rooms = news.rooms
        next_batch = self._tokens.write(rooms.next_batch, news.position)
        parts = [b'{"next_batch":', msgspec.json.encode(next_batch)]
        if news.states:
            events = self._encoder.encode(news.states)
            parts += (b',"presence":{"events":[', events, b"]}")
        if rooms.rooms is not None:
            parts += (b',"rooms":', bytes(rooms.rooms))
        if rooms.account_data is not None:
            parts += (b',"account_data":', bytes(rooms.account_data))
        return b"".join((*parts, b"}"))

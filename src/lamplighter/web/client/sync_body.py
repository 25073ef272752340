"""The body of an answer to `/sync`: written once for all who are told the same."""

from typing import Final

import msgspec

from lamplighter.clock import Clock, Timestamp
from lamplighter.presence.state import UserPresenceState
from lamplighter.web.client.long_poll import News
from lamplighter.web.client.presence_events import PresenceEncoder

__all__ = ["SyncBodies"]

#: So many different bodies of one millisecond are kept.
_MOST_KEPT: Final = 100


class SyncBodies:
    """Writes answers; those to watchers of one change are one piece of memory."""

    def __init__(self, encoder: PresenceEncoder, clock: Clock) -> None:
        self._encoder = encoder
        self._clock = clock
        self._written_at = Timestamp(0)
        #: By the token and the only state; the state stands beside the body so that it stays.
        self._written: dict[tuple[str, int], tuple[UserPresenceState, bytes]] = {}

    def encode(self, news: News) -> bytes:
        """Return *news* as JSON."""
        if len(news.states) != 1 or news.rooms.rooms is not None or news.rooms.account_data:
            return self._write(news)
        now = self._clock.now()
        if now != self._written_at or len(self._written) > _MOST_KEPT:
            self._written.clear()
            self._written_at = now
        [state] = news.states
        key = (news.next_batch, id(state))
        known = self._written.get(key)
        if known is None:
            known = self._written[key] = state, self._write(news)
        return known[1]

    def _write(self, news: News) -> bytes:
        parts = [b'{"next_batch":', msgspec.json.encode(news.next_batch)]
        if news.states:
            events = self._encoder.encode(news.states)
            parts += (b',"presence":{"events":[', events, b"]}")
        if news.rooms.rooms is not None:
            parts += (b',"rooms":', bytes(news.rooms.rooms))
        if news.rooms.account_data is not None:
            parts += (b',"account_data":', bytes(news.rooms.account_data))
        return b"".join((*parts, b"}"))

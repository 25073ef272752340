"""GET /sync.

Implements <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync>.
It is asked more often than everything else together, so it is a bare ASGI application: no
routing, no model validation, no middleware stands before it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from lamplighter.errors import InvalidParam, LimitExceeded
from lamplighter.metrics import Metrics
from lamplighter.ports import Accounts, Json, Requester
from lamplighter.presence.state import Presence
from lamplighter.service import PresenceService
from lamplighter.web.application import send_json
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.filters import ClientFilter, filter_from_query
from lamplighter.web.client.long_poll import LongPoll, News, Question
from lamplighter.web.client.presence_events import PresenceEncoder
from lamplighter.web.client.presence_names import PresenceNames
from lamplighter.web.limits import Limiter

__all__ = ["Sync", "milliseconds_in"]

#: Far more than `LONGEST_POLL`; a number beyond it is a mistake.
_MOST_MILLISECONDS: Final = 10**12


@dataclass(frozen=True, slots=True)
class _Query:
    since: str | None
    timeout: timedelta
    set_presence: Presence | None
    filter: str | None
    full_state: bool


class Sync:
    """Answers `/sync`."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        accounts: Accounts,
        presence: PresenceService,
        long_poll: LongPoll,
        encoder: PresenceEncoder,
        names: PresenceNames,
        transitions: Limiter,
        metrics: Metrics,
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._presence = presence
        self._long_poll = long_poll
        self._encoder = encoder
        self._names = names
        self._transitions = transitions
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        requester = await self._authenticator.requester(scope)
        query = self._query(scope["query_string"])
        wanted = await self._filter(requester, query.filter)
        question = Question(requester, query.since, query.timeout, wanted, query.full_state)
        # The device may have logged out while its filter was read. From here to where the poll is
        # known nothing waits: a later log-out ends it.
        await self._authenticator.requester(scope)
        with self._presence.polling(requester, self._damped(requester, query.set_presence)):
            news = await self._long_poll.news(question, receive)
        self._metrics.sync_answered()
        await send_json(send, 200, self._encode(news))

    def _query(self, query_string: bytes) -> _Query:
        query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
        set_presence = query.get("set_presence")
        return _Query(
            # An empty token is no token: clients that build queries by hand send one.
            since=query.get("since") or None,
            timeout=milliseconds_in("timeout", query.get("timeout")),
            set_presence=self._names.parse("set_presence", set_presence) if set_presence else None,
            filter=query.get("filter"),
            full_state=_flag("full_state", query.get("full_state")),
        )

    async def _filter(self, requester: Requester, text: str | None) -> ClientFilter:
        async def load(filter_id: str) -> Json:
            return await self._accounts.filter(requester.user_id, filter_id)

        return await filter_from_query(text, load)

    def _damped(self, requester: Requester, asked: Presence | None) -> Presence | None:
        """Return what the poll may ask for: a device that changes too fast just goes on polling.

        It still counts as connected; a limit never makes a client look away.
        """
        if asked is None or asked is Presence.OFFLINE:
            return asked
        if self._presence.asks_anew(requester, asked):
            try:
                self._transitions.take(requester)
            except LimitExceeded:
                return None
        return asked

    def _encode(self, news: News) -> bytes:
        parts = [b'{"next_batch":', msgspec.json.encode(news.next_batch)]
        if news.states:
            events = b",".join(map(self._encoder.encode, news.states))
            parts += (b',"presence":{"events":[', events, b"]}")
        if news.rooms.rooms is not None:
            parts += (b',"rooms":', bytes(news.rooms.rooms))
        if news.rooms.account_data is not None:
            parts += (b',"account_data":', bytes(news.rooms.account_data))
        return b"".join((*parts, b"}"))


def milliseconds_in(name: str, text: str | None) -> timedelta:
    """Return the query's duration *name*; nothing if it is absent. Raises `InvalidParam`."""
    if text is None or text == "":
        return timedelta(0)
    if not text.isascii() or not text.isdecimal() or len(text) > 13:
        raise InvalidParam(f"{name}: {text[:60]!r} is not a whole number of milliseconds")
    return timedelta(milliseconds=min(int(text), _MOST_MILLISECONDS))


def _flag(name: str, text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise InvalidParam(f"{name}: {text[:60]!r} is neither true nor false")
    return text == "true"

"""GET /sync.

Implements <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3sync>.
It is asked more often than everything else together, so it is a direct endpoint: no routing, no
model validation, no middleware, no task stands between a request and its poll.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final
from urllib.parse import parse_qsl

from lamplighter.delivery.tokens import SinceToken, Tokens
from lamplighter.errors import InvalidParam, LimitExceeded, MethodNotAllowed
from lamplighter.metrics import Metrics
from lamplighter.ports import Accounts, Json, Requester
from lamplighter.presence.state import Presence
from lamplighter.service import PresenceService
from lamplighter.service.background import Background
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.filters import EVERYTHING, ClientFilter, filter_from_query
from lamplighter.web.client.long_poll import LongPoll, News, Question
from lamplighter.web.client.presence_names import PresenceNames
from lamplighter.web.client.sync_body import SyncBodies
from lamplighter.web.http.exchange import Exchange, refuse
from lamplighter.web.limits import Limiter

__all__ = ["Sync", "milliseconds_in"]

#: Far more than `LONGEST_POLL`; a number beyond it is a mistake.
_MOST_MILLISECONDS: Final = 10**12
#: Queries that are remembered as read: those who are told the same ask alike.
_QUERIES_KEPT: Final = 1_000
_LONGEST_KEPT: Final = 400


@dataclass(frozen=True, slots=True)
class _Query:
    since: SinceToken | None
    timeout: timedelta
    set_presence: Presence | None
    filter: str | None
    full_state: bool


class Sync:
    """Answers `/sync`; it is a `Direct`."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        accounts: Accounts,
        presence: PresenceService,
        long_poll: LongPoll,
        bodies: SyncBodies,
        names: PresenceNames,
        tokens: Tokens,
        transitions: Limiter,
        background: Background,
        metrics: Metrics,
    ) -> None:
        self._authenticator = authenticator
        self._accounts = accounts
        self._presence = presence
        self._long_poll = long_poll
        self._bodies = bodies
        self._names = names
        self._tokens = tokens
        self._transitions = transitions
        self._background = background
        self._metrics = metrics
        self._query_kept = lru_cache(_QUERIES_KEPT)(self._query)

    def __call__(self, exchange: Exchange) -> None:
        try:
            if exchange.method not in ("GET", "HEAD"):
                raise MethodNotAllowed("Unrecognized request: wrong HTTP method")
            requester = self._authenticator.requester_in_use(exchange)
            if requester is None:
                self._background.run(self._identify(exchange))
            else:
                self._understand(exchange, requester)
        except Exception as error:  # noqa: BLE001 - the one table knows what to say
            refuse(exchange, error)

    async def _identify(self, exchange: Exchange) -> None:
        """Take a request with a token that must be looked up."""
        try:
            self._understand(exchange, await self._authenticator.requester_of(exchange))
        except Exception as error:  # noqa: BLE001 - the one table knows what to say
            refuse(exchange, error)

    def _understand(self, exchange: Exchange, requester: Requester) -> None:
        text = exchange.query
        query = self._query_kept(text) if len(text) <= _LONGEST_KEPT else self._query(text)
        if query.filter:
            self._background.run(self._filter(exchange, query, query.filter))
        else:
            self._wait(exchange, requester, query, EVERYTHING)

    async def _filter(self, exchange: Exchange, query: _Query, text: str) -> None:
        """Go on with a filter, which may have to be looked up."""

        async def load(filter_id: str) -> Json:
            requester = await self._authenticator.requester_of(exchange)
            return await self._accounts.filter(requester.user_id, filter_id)

        try:
            wanted = await filter_from_query(text, load)
            # The device may have logged out while its filter was read.
            requester = await self._authenticator.requester_of(exchange)
            self._wait(exchange, requester, query, wanted)
        except Exception as error:  # noqa: BLE001 - the one table knows what to say
            refuse(exchange, error)

    def _wait(
        self, exchange: Exchange, requester: Requester, query: _Query, wanted: ClientFilter
    ) -> None:
        # From where the token was looked at to here nothing waits: a later log-out ends the poll.
        question = Question(
            requester,
            query.since,
            query.timeout,
            wanted,
            query.full_state,
            self._damped(requester, query.set_presence),
        )
        exchange.when_gone = self._long_poll.begin(question, partial(self._answer, exchange))

    def _answer(self, exchange: Exchange, news: News | Exception) -> None:
        if isinstance(news, Exception):
            refuse(exchange, news)
            return
        self._metrics.sync_answered()
        exchange.answer(200, self._bodies.encode(news))

    def _query(self, text: str) -> _Query:
        query = dict(parse_qsl(text, keep_blank_values=True))
        # An empty token is no token: clients that build queries by hand send one.
        since = query.get("since") or None
        set_presence = query.get("set_presence")
        return _Query(
            since=None if since is None else self._tokens.read(since),
            timeout=milliseconds_in("timeout", query.get("timeout")),
            set_presence=self._names.parse("set_presence", set_presence) if set_presence else None,
            filter=query.get("filter"),
            full_state=_flag("full_state", query.get("full_state")),
        )

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

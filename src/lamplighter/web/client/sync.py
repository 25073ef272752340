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

import msgspec

from lamplighter.clock import Clock, Timestamp
from lamplighter.delivery.tokens import Tokens
from lamplighter.errors import InvalidParam, MethodNotAllowed
from lamplighter.metrics import Metrics
from lamplighter.ports import Requester, RequestHead, SyncRequest
from lamplighter.service.background import Background, InTurn
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.filters import ALL_PRESENCE, PresenceFilter, read_inline
from lamplighter.web.client.filters_in_use import FiltersInUse
from lamplighter.web.client.long_poll import LONGEST_POLL, LongPoll, News, SyncQuestion, refuse
from lamplighter.web.client.sync_body import SyncBodies
from lamplighter.web.fields import PresenceNames, natural
from lamplighter.web.http.exchange import Exchange

__all__ = ["Sync", "milliseconds_in", "parameters_in"]

#: Parsed queries that are cached: clients that got the same answer ask alike. Queries with a filter
#: as JSON, percent-encoded, are long, and what they mean is larger: fewer of them are remembered.
_QUERIES_KEPT: Final = 1_000
_USUAL_LENGTH: Final = 400
_LONG_QUERIES_KEPT: Final = 200
_LONGEST_KEPT: Final = 4_096
#: How many polls look up their token or filter at a time. Thousands come at once after a restart.
_LOOK_UPS: Final = 100


@dataclass(kw_only=True, eq=False)
class Sync:
    """Answers `/sync`; it is a `Direct`."""

    authenticator: Authenticator
    clock: Clock
    filters: FiltersInUse
    long_poll: LongPoll
    bodies: SyncBodies
    names: PresenceNames
    tokens: Tokens
    background: Background
    metrics: Metrics

    def __post_init__(self) -> None:
        self._usual_query = lru_cache(_QUERIES_KEPT)(self._query)
        self._long_query = lru_cache(_LONG_QUERIES_KEPT)(self._query)
        self._look_ups = InTurn(self.background, _LOOK_UPS)

    def __call__(self, exchange: Exchange) -> None:
        head, now = RequestHead(exchange.headers, exchange.peer), self.clock.now()
        try:
            if exchange.method != "GET":
                raise MethodNotAllowed("Unrecognized request: wrong HTTP method")
            requester = self.authenticator.requester_in_use(exchange, now)
            if requester is None or not self._begin(exchange, requester, head, now):
                self._look_ups.run(partial(self._look_up, exchange, head))
        except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
            refuse(exchange.refuse, error, self.clock)

    async def _look_up(self, exchange: Exchange, head: RequestHead) -> None:
        """Begin a poll whose token or filter no poll has named for a while, if its client waits."""
        if exchange.is_over():  # it went before its turn
            return
        try:
            requester = await self.authenticator.requester_of(exchange, head)
            if exchange.is_over() or self._begin(exchange, requester, head, self.clock.now()):
                return
            request = self._read(exchange.query).request
            assert request.filter is not None  # else all presence is wanted
            wanted = await self.filters.look_up(requester, request, head, request.filter)
            # The device may have logged out while its filter was read.
            requester = await self.authenticator.requester_of(exchange, head)
            if not exchange.is_over():
                self._begin(exchange, requester, head, self.clock.now(), wanted)
        except Exception as error:  # noqa: BLE001 - the client is told, and a defect is logged
            refuse(exchange.refuse, error, self.clock)

    def _begin(
        self,
        exchange: Exchange,
        requester: Requester,
        head: RequestHead,
        now: Timestamp,
        wanted: PresenceFilter | None = None,
    ) -> bool:
        """Begin the poll, unless its filter is not known; tell whether it has begun.

        The caller has just looked at the token, and nothing waits here: a later log-out ends the
        poll.
        """
        question = self._read(exchange.query)
        wanted = wanted or question.wanted
        if wanted is None:
            assert question.request.filter is not None  # else all presence is wanted
            wanted = self.filters.known(requester.user_id, question.request.filter)
            if wanted is None:
                return False
        answer = _Answer(exchange, self.bodies, self.metrics)
        exchange.waiter = self.long_poll.begin(
            requester, question, answer, now, head=head, wanted=wanted
        )
        return True

    def _read(self, text: str) -> SyncQuestion:
        """Return what the query *text* asks for."""
        if len(text) <= _USUAL_LENGTH:
            return self._usual_query(text)
        return self._long_query(text) if len(text) <= _LONGEST_KEPT else self._query(text)

    def _query(self, text: str) -> SyncQuestion:
        query = parameters_in(text)
        # An empty token is no token: clients that build queries by hand send one.
        token = query.get("since") or None
        since = None if token is None else self.tokens.read(token)
        set_presence = query.get("set_presence")
        chosen = query.get("filter") or None
        request = SyncRequest(
            query=text,
            since=None if since is None else since.rooms,
            timeout=min(milliseconds_in("timeout", query.get("timeout")), LONGEST_POLL),
            filter=chosen,
            full_state=_flag("full_state", query.get("full_state")),
        )
        presence = self.names.parse("set_presence", set_presence) if set_presence else None
        if chosen is None:
            wanted: PresenceFilter | None = ALL_PRESENCE
        else:
            wanted = read_inline(chosen) if chosen.startswith("{") else None
        return SyncQuestion(since, request, wanted, presence)


class _Answer(msgspec.Struct, eq=False):
    """Answers the exchange. Each waiting poll keeps one: a partial function is larger."""

    exchange: Exchange
    bodies: SyncBodies
    metrics: Metrics

    def __call__(self, news: News | Exception) -> None:
        if isinstance(news, Exception):
            self.exchange.refuse(news)
            return
        self.metrics.syncs += 1
        body = self.bodies.encode(news)
        if isinstance(body, bytes):
            self.exchange.answer(200, body)
            if news.leave is not None:
                news.leave()
        else:
            self.exchange.answer_in_pieces(body, news.leave)


def parameters_in(query: str) -> dict[str, str]:
    """Return the parameters of *query*; of two with the same name the first, as in Synapse."""
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))


@lru_cache(128)  # most clients wait for the same time, and a poll that waits keeps it
def milliseconds_in(name: str, text: str | None) -> timedelta:
    """Return the query's duration *name*; nothing if it is absent. Raises `InvalidParam`."""
    if text is None or text == "":
        return timedelta(0)
    return timedelta(milliseconds=natural(name, text))


def _flag(name: str, text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise InvalidParam(f"{name}: {text[:60]!r} is neither true nor false")
    return text == "true"

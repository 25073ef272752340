"""What other servers say: each transaction once, each presence entry judged alone.

**Once.** A server that got no answer sends its transaction again, under the same ID. Somebody who
has captured a transaction can send it again too, at any time. Of each origin the last transaction
IDs are remembered, each with the `origin_server_ts` of its transaction. When an ID is forgotten,
its `origin_server_ts` stays, as the bound up to which everything counts as taken: an origin that
has sent 50 transactions since does not send that one again.

Example: `there.example` has sent 51 transactions, the first at 12:00:00. Its ID is forgotten, and
the bound is 12:00:00. If the first transaction arrives once more, it is answered as it was then,
and nothing in it is read. The bound never lies ahead of our own clock, so an origin whose clock was
an hour fast, and is set right, is heard at once.

**In slices.** A transaction may hold thousands of entries. They are handed on in slices, and
between two slices the server serves everybody else. An origin sends its transactions one after the
other, as the specification demands, so a second one that comes meanwhile is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Final

import structlog

from lamplighter.clock import Clock, Timestamp, next_turn
from lamplighter.domains import registrable_domain
from lamplighter.errors import LimitExceeded
from lamplighter.federation.edu import PRESENCE_EDU, parse_presence_edu
from lamplighter.federation.transaction import Transaction, pdu_errors
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from lamplighter.presence.events import RemoteUpdate
from lamplighter.recent import Recent

__all__ = ["SLICE", "Inbound"]

_log = structlog.get_logger(__name__)

#: Of so many servers, and of each so many transactions, it is known that they were taken.
_MOST_ORIGINS: Final = 10_000
_MOST_TRANSACTIONS: Final = 50
_MOST_FAULTS_LOGGED: Final = 5
#: So many entries are handed on before others are served.
SLICE: Final = 100
_NEXT_TIME: Final = timedelta(seconds=1)


class Inbound:
    """Takes transactions of other servers, whose signatures have been verified."""

    def __init__(
        self,
        accept: Callable[[Sequence[RemoteUpdate]], None],
        heard_from: Callable[[ServerName], None],
        clock: Clock,
        *,
        busy_allowed: bool,
    ) -> None:
        """Hand what is good to *accept*, and tell *heard_from* who spoke; both return at once."""
        self._accept = accept
        self._heard_from = heard_from
        self._clock = clock
        self._busy_allowed = busy_allowed
        self._taken: Recent[ServerName, _Taken] = Recent(_MOST_ORIGINS, registrable_domain)
        #: The origins of which a transaction is being taken.
        self._taking: set[ServerName] = set()

    async def receive(self, transaction: Transaction, txn_id: str) -> Json:
        """Return the answer to *transaction*; the same one of an origin counts only once.

        Raises `LimitExceeded` while another transaction of the origin is being taken.
        """
        origin = transaction.origin
        taken = self._taken.get(origin)
        if taken is None:
            taken = _Taken()
            self._taken.put(origin, taken)
        if not taken.holds(txn_id, transaction.origin_server_ts):
            if origin in self._taking:
                raise LimitExceeded(_NEXT_TIME)
            self._taking.add(origin)
            try:
                self._heard_from(origin)
                await self._take(transaction)
            finally:
                self._taking.discard(origin)
            # Only now: a transaction that was given up half way is taken when it comes again.
            taken.add(txn_id, transaction.origin_server_ts, self._clock.now())
        return pdu_errors(transaction.pdus)

    async def _take(self, transaction: Transaction) -> None:
        left = SLICE
        for updates in self._updates(transaction):
            rest = iter(updates)
            while handed_on := list(islice(rest, left)):
                self._accept(handed_on)
                left -= len(handed_on)
                if not left:
                    await next_turn()
                    left = SLICE

    def _updates(self, transaction: Transaction) -> Iterator[Sequence[RemoteUpdate]]:
        """Yield what each presence EDU says, as it is asked for."""
        for edu in transaction.edus:
            if edu["edu_type"] != PRESENCE_EDU:  # of other kinds we know nothing
                continue
            now = self._clock.now()
            parsed = parse_presence_edu(
                edu["content"], transaction.origin, now, busy_allowed=self._busy_allowed
            )
            if parsed.faults:
                faults = parsed.faults[:_MOST_FAULTS_LOGGED]
                _log.info("presence was refused", origin=transaction.origin, problems=faults)
            yield parsed.updates


class _Taken:
    """The transactions of one origin that were taken."""

    def __init__(self) -> None:
        #: The `origin_server_ts` of the last ones, by their IDs.
        self._sent_at: dict[str, Timestamp] = {}
        #: Whatever was sent up to then counts as taken.
        self._all_until = Timestamp(-1)

    def holds(self, txn_id: str, origin_server_ts: Timestamp) -> bool:
        """Tell whether the transaction was taken; one that was is remembered for longer."""
        sent_at = self._sent_at.pop(txn_id, None)
        if sent_at is None:
            return origin_server_ts <= self._all_until
        self._sent_at[txn_id] = sent_at
        return True

    def add(self, txn_id: str, origin_server_ts: Timestamp, now: Timestamp) -> None:
        """Remember a transaction that was taken *now*."""
        self._sent_at[txn_id] = origin_server_ts
        if len(self._sent_at) > _MOST_TRANSACTIONS:
            forgotten = self._sent_at.pop(next(iter(self._sent_at)))
            self._all_until = max(self._all_until, min(forgotten, now))

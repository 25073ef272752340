"""Transactions from other servers: each is processed once, and each presence entry alone.

**Once.** A server that got no answer sends its transaction again with the same ID. An attacker who
has captured a transaction can also send it again, at any time. This server therefore remembers the
last 50 transaction IDs of each origin, each with the `origin_server_ts` of its transaction. When it
forgets an ID, it keeps the `origin_server_ts` as a bound: every transaction of that origin with an
`origin_server_ts` up to the bound counts as processed. An honest origin, which has sent 50
transactions since, does not send such an old one again.

Example: `there.example` has sent 51 transactions, the first at 12:00:00. The ID of the first is
forgotten, and the bound is 12:00:00. If the first transaction arrives again, it gets the same
answer as before, and nothing in it is read. The bound is never later than our own clock. So an
origin whose clock was an hour fast is heard at once when its clock has been corrected.

**In slices.** A transaction may hold thousands of entries. They are processed in slices of 100, and
the event loop serves all other requests between two slices. The specification says that an origin
sends one transaction at a time, so a second one that arrives meanwhile is refused.
"""

from collections.abc import Callable, Sequence
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

#: How many origins, and how many transactions of each, are remembered.
_MOST_ORIGINS: Final = 10_000
_MOST_TRANSACTIONS: Final = 50
_MOST_FAULTS_LOGGED: Final = 5
#: How many entries are processed without serving other requests.
SLICE: Final = 100
#: When an origin that sends two transactions at once may send the second one again.
_RETRY_AFTER: Final = timedelta(seconds=1)


class Inbound:
    """Processes transactions whose signatures have been verified."""

    def __init__(
        self,
        accept: Callable[[Sequence[RemoteUpdate]], None],
        heard_from: Callable[[ServerName], None],
        clock: Clock,
        *,
        busy_allowed: bool,
    ) -> None:
        """Give valid entries to *accept*, and the name of each origin to *heard_from*."""
        self._accept = accept
        self._heard_from = heard_from
        self._clock = clock
        self._busy_allowed = busy_allowed
        self._taken: Recent[ServerName, _Taken] = Recent(_MOST_ORIGINS, registrable_domain)
        #: The origins whose transactions are being processed.
        self._busy: set[ServerName] = set()

    async def receive(self, transaction: Transaction, txn_id: str) -> Json:
        """Process *transaction*, unless it was processed before, and return the answer to it.

        Raises `LimitExceeded` while another transaction of the origin is being processed.
        """
        origin = transaction.origin
        taken = self._taken.get(origin)
        if taken is None:
            taken = _Taken()
            self._taken.put(origin, taken)
        if not taken.holds(txn_id, transaction.origin_server_ts):
            if origin in self._busy:
                raise LimitExceeded(_RETRY_AFTER)
            self._busy.add(origin)
            try:
                self._heard_from(origin)
                await self._process(transaction)
            finally:
                self._busy.discard(origin)
            # Not before: a transaction that was interrupted must be processed when it comes again.
            taken.add(txn_id, transaction.origin_server_ts, self._clock.now())
        return pdu_errors(transaction.pdus)

    async def _process(self, transaction: Transaction) -> None:
        left = SLICE
        for edu in transaction.edus:
            if edu["edu_type"] != PRESENCE_EDU:  # this server supports no other type
                continue
            now = self._clock.now()
            parsed = parse_presence_edu(
                edu["content"], transaction.origin, now, busy_allowed=self._busy_allowed
            )
            if parsed.faults:
                faults = parsed.faults[:_MOST_FAULTS_LOGGED]
                _log.info("refused presence entries", origin=transaction.origin, problems=faults)
            rest = iter(parsed.updates)
            while portion := list(islice(rest, left)):
                self._accept(portion)
                left -= len(portion)
                if not left:
                    await next_turn()
                    left = SLICE


class _Taken:
    """The transactions of one origin that were processed."""

    def __init__(self) -> None:
        #: By ID, the `origin_server_ts` of the last ones.
        self._sent_at: Recent[str, Timestamp] = Recent(_MOST_TRANSACTIONS)
        #: The bound: every transaction up to this `origin_server_ts` counts as processed.
        self._all_until = Timestamp(-1)

    def holds(self, txn_id: str, origin_server_ts: Timestamp) -> bool:
        """Return whether the transaction was processed; if so, it is remembered for longer."""
        return self._sent_at.get(txn_id) is not None or origin_server_ts <= self._all_until

    def add(self, txn_id: str, origin_server_ts: Timestamp, now: Timestamp) -> None:
        """Remember a transaction that was processed *now*."""
        for _, forgotten in self._sent_at.put(txn_id, origin_server_ts):
            self._all_until = max(self._all_until, min(forgotten, now))

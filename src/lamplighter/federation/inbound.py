"""What other servers say: each transaction once, each presence entry judged alone."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from lamplighter.clock import Clock
from lamplighter.federation.edu import PRESENCE_EDU, parse_presence_edu
from lamplighter.federation.recent import Recent
from lamplighter.federation.transaction import Transaction, pdu_errors
from lamplighter.ids import ServerName
from lamplighter.ports import Json
from lamplighter.presence.events import RemoteUpdate

__all__ = ["Inbound"]

_log = structlog.get_logger(__name__)

#: Of so many servers, and of each so many transactions, it is known that they were taken.
_MOST_ORIGINS: Final = 2_000
_MOST_TRANSACTIONS: Final = 50
_MOST_FAULTS_LOGGED: Final = 5


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
        self._taken: Recent[ServerName, Recent[str, bool]] = Recent(_MOST_ORIGINS)

    def receive(self, transaction: Transaction, txn_id: str) -> Json:
        """Return the answer to *transaction*; the same one of an origin counts only once."""
        taken = self._taken.get(transaction.origin)
        if taken is None:
            taken = Recent[str, bool](_MOST_TRANSACTIONS)
            self._taken.put(transaction.origin, taken)
        if not taken.get(txn_id):
            taken.put(txn_id, True)
            self._heard_from(transaction.origin)
            self._take(transaction)
        return pdu_errors(transaction.pdus)

    def _take(self, transaction: Transaction) -> None:
        now = self._clock.now()
        for edu in transaction.edus:
            if edu["edu_type"] != PRESENCE_EDU:  # of other kinds we know nothing
                continue
            parsed = parse_presence_edu(
                edu["content"], transaction.origin, now, busy_allowed=self._busy_allowed
            )
            self._accept(parsed.updates)
            if parsed.faults:
                faults = parsed.faults[:_MOST_FAULTS_LOGGED]
                _log.info("presence was refused", origin=transaction.origin, problems=faults)

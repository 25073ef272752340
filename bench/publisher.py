"""A client that changes its status message over and over."""

from collections import deque

from bench.errors import ConnectionLost, Refused
from bench.http import Answer, Connection
from bench.ledger import Ledger
from bench.matrix import Account, put_request

__all__ = ["Publisher"]


class Publisher:
    """Sends its changes in order; one that comes while another is under way waits for it.

    That waiting counts as latency: an overloaded server is not spared the load.
    """

    def __init__(self, account: Account, connection: Connection, ledger: Ledger) -> None:
        self.account = account
        self._connection = connection
        self._ledger = ledger
        self._waiting: deque[bytes] = deque()
        self._busy = False

    def change(self) -> None:
        """Set a status message that nobody has had before."""
        word = self._ledger.publish(self.account.number)
        self._waiting.append(put_request(self.account, str(word)))
        if not self._busy:
            self._send_next()

    def leave(self) -> None:
        """Close the connection."""
        self._connection.abort()

    def _send_next(self) -> None:
        self._busy = True
        self._connection.send(self._waiting.popleft(), self._answered)

    def _answered(self, answer: Answer | ConnectionLost) -> None:
        self._busy = False
        if isinstance(answer, ConnectionLost):
            self._ledger.fail(answer)
        elif answer.status != 200:
            self._ledger.fail(Refused(f"PUT status: {answer.status} {answer.body[:300]!r}"))
        elif self._waiting:
            self._send_next()

"""Clients that change their status message over and over."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from bench.clients import Client
from bench.errors import ConnectionLost, Refused
from bench.http import Answer, Connection
from bench.ledger import Ledger
from bench.matrix import Account, put_request

__all__ = ["LINES", "Publishers"]

#: So many connections they share: one for each would be idle for so long that servers close it.
LINES: Final = 8


class Publishers:
    """Send their changes in order; a change that comes while others are under way waits.

    That waiting counts as latency: an overloaded server is not spared the load.
    """

    def __init__(
        self,
        accounts: Mapping[int, Account],
        client: Client,
        connections: Sequence[Connection],
        ledger: Ledger,
    ) -> None:
        """Let the users of *accounts*, by number, publish what is entered in *ledger*."""
        self._accounts = accounts
        self._client = client
        self._ledger = ledger
        self._lines = [_Line(connection, ledger) for connection in connections]

    def change(self, number: int) -> None:
        """Give the user of that number a status message that nobody has had before."""
        word = self._ledger.publish(number)
        request = put_request(self._accounts[number], self._client, str(word))
        self._lines[number % len(self._lines)].put(request)

    def leave(self) -> None:
        """Close the connections."""
        for line in self._lines:
            line.connection.abort()


class _Line:
    """One connection, and the requests that wait for it."""

    def __init__(self, connection: Connection, ledger: Ledger) -> None:
        self.connection = connection
        self._ledger = ledger
        self._waiting: deque[bytes] = deque()
        self._busy = False

    def put(self, request: bytes) -> None:
        self._waiting.append(request)
        if not self._busy:
            self._send_next()

    def _send_next(self) -> None:
        self._busy = True
        self.connection.send(self._waiting.popleft(), self._answered)

    def _answered(self, answer: Answer | ConnectionLost) -> None:
        self._busy = False
        if isinstance(answer, ConnectionLost):
            self._ledger.fail(answer)
        elif answer.status != 200:
            self._ledger.fail(Refused(f"PUT status: {answer.status} {answer.body[:300]!r}"))
        elif self._waiting:
            self._send_next()

"""Clients that change their status message over and over."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from bench.clients import Client
from bench.errors import ConnectionLost, Refused
from bench.http import Answer, Connection
from bench.ledger import Ledger
from bench.matrix import Account, put_request

__all__ = ["CONNECTIONS", "Publishers"]

#: How many connections the publishers share: servers would close one each, which is mostly idle.
CONNECTIONS: Final = 8


class Publishers:
    """Send their changes in order, over a few connections that they share.

    A change that waits for its connection adds that time to its latency: an overloaded server
    does not get a smaller load.
    """

    def __init__(
        self,
        accounts: Mapping[int, Account],
        client: Client,
        connections: Sequence[Connection],
        ledger: Ledger,
    ) -> None:
        """*accounts* are the publishers' accounts by number; changes are entered in *ledger*."""
        self._accounts = accounts
        self._client = client
        self._ledger = ledger
        self._queues = [_Queue(connection, ledger) for connection in connections]

    def change(self, number: int) -> None:
        """Send a new status message for the user of that number."""
        change = self._ledger.publish(number)
        request = put_request(self._accounts[number], self._client, str(change))
        self._queues[number % len(self._queues)].put(request)

    def leave(self) -> None:
        """Close the connections."""
        for queue in self._queues:
            queue.connection.abort()


class _Queue:
    """A connection, and the requests that wait for it."""

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

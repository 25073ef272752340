"""A client that long-polls `/sync`, and enters each update in the ledger."""

from collections.abc import Mapping

from bench.errors import ConnectionLost, Refused
from bench.http import Answer, Connection
from bench.ledger import Ledger
from bench.matrix import Account, Polls, read_sync

__all__ = ["Watcher"]


class Watcher:
    """Polls over one connection, again and again, from the callbacks of that connection."""

    def __init__(
        self,
        account: Account,
        polls: Polls,
        since: str,
        ledger: Ledger,
        numbers: Mapping[str, int],
    ) -> None:
        """*polls* makes requests; *since* is the first token; *numbers* are by user ID."""
        self.account = account
        #: How many polls have been answered.
        self.answered = 0
        self._since = since
        self._ledger = ledger
        self._numbers = numbers
        self._polls = polls
        self._connection: Connection | None = None

    def poll_on(self, connection: Connection) -> None:
        """Poll over *connection* from now on, with the token of the last answer."""
        self._connection = connection
        connection.send(self._polls.since(self._since), self._hear)

    def leave(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def _hear(self, answer: Answer | ConnectionLost) -> None:
        if isinstance(answer, ConnectionLost):
            self._ledger.fail(answer)
            return
        if answer.status != 200:
            self._ledger.fail(Refused(f"GET /sync: {answer.status} {answer.body[:300]!r}"))
            return
        self.answered += 1
        news = read_sync(answer.body)
        self._since = news.next_batch
        if self._connection is not None:
            self._connection.send(self._polls.since(self._since), self._hear)
        for event in news.presence.events:
            if event.content.status_msg:
                publisher = self._numbers[event.sender]
                self._ledger.receive(self.account.number, publisher, int(event.content.status_msg))

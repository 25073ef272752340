"""The users of a shape over Matrix, on long polls."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from bench.clients import Client
from bench.errors import BenchError
from bench.http import Connection, connect
from bench.ledger import Ledger
from bench.matrix import Account, Polls, first_sync, polls_of, put_request, read_sync
from bench.shapes import Shape
from bench.stage import Stage, in_parallel, people, settle_in

__all__ = [
    "TIMEOUT_MS",
    "MatrixParty",
    "MatrixWire",
    "Watcher",
    "connect_all",
    "connect_one",
    "make_watchers",
]

#: The time-out of a poll, in milliseconds, as most clients ask for it.
TIMEOUT_MS: Final = 30_000
#: How many connections come from one loopback address: there are 28,000 ephemeral ports.
_PER_SOURCE: Final = 20_000
#: How many connections the publishers share: servers would close one each, which is mostly idle.
_CONNECTIONS: Final = 8


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

    def _hear(self, answer: bytes | BenchError) -> None:
        if isinstance(answer, BenchError):
            self._ledger.fail(answer)
            return
        self.answered += 1
        news = read_sync(answer)
        self._since = news.next_batch
        if self._connection is not None:
            self._connection.send(self._polls.since(self._since), self._hear)
        for event in news.presence.events:
            if event.content.status_msg:
                publisher = self._numbers[event.sender]
                self._ledger.receive(self.account.number, publisher, int(event.content.status_msg))


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

    def _answered(self, answer: bytes | BenchError) -> None:
        self._busy = False
        if isinstance(answer, BenchError):
            self._ledger.fail(answer)
        elif self._waiting:
            self._send_next()


class MatrixWire:
    """Matrix: `PUT /presence/{userId}/status` and `GET /sync`."""

    async def gather(self, stage: Stage, shape: Shape, ledger: Ledger) -> "MatrixParty":
        """Create the users of *shape*, and let the watchers poll."""
        accounts = await people(stage, shape)
        await settle_in(stage, accounts, shape.client)
        before = stage.meter.resident
        watchers = await make_watchers(stage, accounts, shape, ledger)
        await connect_all(stage, watchers)
        lines = [await connect(stage.address_for(number)) for number in range(_CONNECTIONS)]
        return MatrixParty(watchers, accounts, shape.client, lines, ledger, resident_before=before)


class MatrixParty:
    """Watchers with a poll each, and publishers, who share a few connections.

    A change that waits for its connection adds that time to its latency: an overloaded server
    does not get a smaller load.
    """

    def __init__(
        self,
        watchers: Sequence[Watcher],
        accounts: Sequence[Account],
        client: Client,
        lines: Sequence[Connection],
        ledger: Ledger,
        *,
        resident_before: int,
    ) -> None:
        """*lines* are the connections of the publishers; changes are entered in *ledger*."""
        self.polls = len(watchers)
        self.resident_before = resident_before
        self.watchers = watchers
        self._accounts = accounts
        self._client = client
        self._ledger = ledger
        self._queues = [_Queue(line, ledger) for line in lines]

    def change(self, publisher: int) -> None:
        change = self._ledger.publish(publisher)
        request = put_request(self._accounts[publisher], self._client, str(change))
        self._queues[publisher % len(self._queues)].put(request)

    def leave(self) -> None:
        for watcher in self.watchers:
            watcher.leave()
        for queue in self._queues:
            queue.connection.abort()


async def make_watchers(
    stage: Stage,
    accounts: Sequence[Account],
    shape: Shape,
    ledger: Ledger,
    timeout_ms: int = TIMEOUT_MS,
) -> list[Watcher]:
    """Return the watchers of *shape*, who have a token and do not poll yet."""
    by_name = {account.user_id: account.number for account in accounts}

    async def make(line: Connection, number: int) -> Watcher:
        account = accounts[number]
        since = await first_sync(line, account, shape.client)
        polls = await polls_of(line, account, shape.client, timeout_ms)
        return Watcher(account, polls, since, ledger, by_name)

    return await in_parallel(stage, "first syncs", shape.watchers, make)


async def connect_all(stage: Stage, watchers: Sequence[Watcher]) -> None:
    """Let every watcher poll over a connection of its own."""
    advance = stage.progress.step("connecting polls", len(watchers))
    for index, watcher in enumerate(watchers):
        watcher.poll_on(await connect_one(stage, index))
        advance()


async def connect_one(stage: Stage, index: int) -> Connection:
    """Return a connection for the watcher of that *index*."""
    return await connect(stage.address_for(index), f"127.0.0.{1 + index // _PER_SOURCE}")

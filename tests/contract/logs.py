"""The servers of logs on which one contract suite runs: within the process, and a real Valkey."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Final, Protocol, cast

import msgspec

from lamplighter.cluster.log import (
    Lease,
    Log,
    LogNews,
    LogRecord,
    MessageId,
    NodeFacts,
    NodeName,
    PartitionId,
)
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.valkey import ValkeyLog
from lamplighter.cluster.valkey_link import Link
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import ServerName, StreamPosition
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.valkey import ValkeyServer

__all__ = ["FACTS", "PATIENCE", "AnyLogServer", "InMemory", "Joined", "OnValkey", "joined"]

#: Every call is answered within this time.
PATIENCE: Final = timedelta(seconds=1)
#: How long it takes at least until an older copy is promoted.
_FAILOVER_MS: Final = 10
#: In what no node differs.
FACTS: Final = {"version": "1"}
SERVER: Final = ServerName("demo.example")


class Joined(msgspec.Struct, frozen=True):
    """A node of a test: its own way to the log, and its lease."""

    log: Log
    lease: Lease
    #: Where the log ended when the node joined.
    start: StreamPosition

    async def take(self, *partitions: int) -> frozenset[PartitionId]:
        """Take partitions."""
        return await self.log.take(self.lease, [PartitionId(it) for it in partitions])

    async def tell(self, payload: bytes, *partitions: int, count: int = 1) -> StreamPosition:
        """Append a record."""
        owned = [PartitionId(it) for it in partitions]
        return await self.log.tell(self.lease, owned, payload, count)

    async def say(self, to: "Joined", *payloads: bytes) -> bool:
        """Put messages into an inbox."""
        return await self.log.say(self.lease, to.lease, payloads)

    async def renew(self) -> None:
        """Renew the lease."""
        await self.log.renew(self.lease, BEGINNING)

    async def read(
        self, after: StreamPosition, inbox_after: str = "", longest: timedelta = timedelta(0)
    ) -> LogNews:
        """Read records and messages."""
        return await self.log.read(self.lease, after, MessageId(inbox_after), longest)

    async def records(self, after: StreamPosition | None = None) -> list[LogRecord]:
        """Return all records after *after*, or since the node joined."""
        found: list[LogRecord] = []
        position = self.start if after is None else after
        while records := (await self.read(position)).records:
            found.extend(records)
            position = records[-1].position
        return found


class AnyLogServer(Protocol):
    """The server of a log, and what befalls it."""

    #: The clock of the nodes. The log of a server within the process has it, too.
    clock: FakeClock

    def log(self) -> Log:
        """Return one node's own way to the log."""

    async def end(self, ended: Joined, *others: Joined) -> None:
        """Let a lease end; *others* renew theirs."""

    async def set_clock_back(self, living: Joined) -> None:
        """Set the clock back by an hour. The lease of *living* was renewed just now."""

    async def lose_data(self) -> None:
        """Be without any data."""

    async def backup(self) -> Callable[[], Awaitable[None]]:
        """Return what sets the data back to those of now, some milliseconds later."""

    def stop(self) -> None:
        """Be away."""

    def start(self) -> None:
        """Be there again, with all data."""

    def frozen(self) -> AbstractContextManager[None]:
        """Stand still while the block lasts."""


async def joined(
    server: AnyLogServer, name: str, floor: StreamPosition = BEGINNING, log: Log | None = None
) -> Joined:
    """Return a node that has joined, by *log* if it has one already."""
    log = log or server.log()
    facts = NodeFacts(f"http://{name}.example", FACTS)
    lease = await log.join(NodeName(name), facts, floor)
    return Joined(log, lease, await log.head())


class InMemory:
    """A server within the process."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server = LogServer(self.clock)

    def log(self) -> MemoryLog:
        return self.server.log()

    async def end(self, ended: Joined, *others: Joined) -> None:
        for _ in range(4):
            self.clock.advance(seconds=1)
            for other in others:
                await other.renew()

    async def set_clock_back(self, living: Joined) -> None:
        self.server.set_clock_back(timedelta(hours=1))

    async def lose_data(self) -> None:
        self.server.lose_data()

    async def backup(self) -> Callable[[], Awaitable[None]]:
        restore = self.server.backup()

        async def restored() -> None:
            restore()
            self.clock.advance(milliseconds=_FAILOVER_MS)

        return restored

    def stop(self) -> None:
        self.server.way = Way.CLOSED

    def start(self) -> None:
        self.server.way = Way.OPEN

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.server.way = Way.SILENT
        yield
        self.server.way = Way.OPEN


class OnValkey:
    """A real server. Its clock cannot be set: what a set clock does to the data is done to them."""

    def __init__(self, server: ValkeyServer) -> None:
        self.clock = FakeClock()
        self.server = server
        self._logs: list[ValkeyLog] = []
        self._link = Link(server.address, self.clock, PATIENCE)

    def log(self, kept: timedelta = timedelta(days=99)) -> ValkeyLog:
        log = ValkeyLog(self.server.address, SERVER, self.clock, patience=PATIENCE, kept=kept)
        self._logs.append(log)
        return log

    async def end(self, ended: Joined, *others: Joined) -> None:
        await self._link.ask("PEXPIRE", self._key(f"node:{ended.lease.node}"), 0)

    async def set_clock_back(self, living: Joined) -> None:
        hour = 3_600_000
        key = self._key(f"node:{living.lease.node}")
        left = cast("int", await self._link.ask("PTTL", key))
        await self._link.ask("PEXPIRE", key, left + hour)
        await self._link.ask("HINCRBY", self._key("state"), "floor", 16 * hour)
        await self._link.ask("HINCRBY", self._key("state"), "latest", hour)

    async def lose_data(self) -> None:
        await self._link.ask("FLUSHALL")
        await self._link.ask("SCRIPT", "FLUSH")

    async def backup(self) -> Callable[[], Awaitable[None]]:
        keys = cast("list[bytes]", await self._link.ask("KEYS", "*"))
        dumps = [(key, cast("bytes", await self._link.ask("DUMP", key))) for key in keys]

        async def restore() -> None:
            begun = await self._now()
            await self.lose_data()
            for key, dump in dumps:
                await self._link.ask("RESTORE", key, 0, dump)
            while await self._now() < begun + _FAILOVER_MS:
                pass

        return restore

    def stop(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server.start()

    def frozen(self) -> AbstractContextManager[None]:
        return self.server.frozen()

    async def close(self) -> None:
        """Leave nothing behind."""
        for log in self._logs:
            await log.close()
        await self.lose_data()
        await self._link.close()

    async def _now(self) -> int:
        seconds, microseconds = cast("list[bytes]", await self._link.ask("TIME"))
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _key(self, name: str) -> str:
        return f"lamp:{SERVER}:{name}"

"""A log of a cluster within the process: it promises what `Log` does, in time that a clock gives.

    server = LogServer(clock)
    a, b = server.log(), server.log()      # each node's own way to the log
    b.way = Way.CLOSED                     # b is cut off; a is not
    server.way = Way.SILENT                # the server stands still for all
    server.lose_data()                     # it was started again without its data

The same contract suite runs over this log and over the real one (`tests/contract/test_log.py`).
"""

import asyncio
import copy
import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import Final, TypeVar

from lamplighter.clock import Clock, Timestamp, after, milliseconds, next_turn
from lamplighter.cluster.log import (
    LEASE,
    Birth,
    ClusterStanding,
    Lease,
    LogNews,
    MessageId,
    NodeFacts,
    NodeName,
    PartitionId,
)
from lamplighter.cluster.positions import at_time, record_of
from lamplighter.errors import (
    ClusterRefused,
    ClusterUnavailable,
    LeaseLost,
    LogLost,
    LogUnreachable,
)
from lamplighter.ids import StreamPosition
from tests.cluster.log_data import LogData

__all__ = ["LogServer", "MemoryLog", "Way"]

T = TypeVar("T")

#: How long a node waits for an answer.
_PATIENCE: Final = timedelta(seconds=1)


class Way(Enum):
    """How a node, or every node, reaches the server."""

    OPEN = "open"
    #: Nobody answers, and a node learns that at once. Nothing is carried out.
    CLOSED = "closed"
    #: No answer comes before the way is open again. Then everything is carried out, late or not.
    SILENT = "silent"
    #: Everything is carried out, and no answer comes.
    ANSWERS_LOST = "answers lost"


class LogServer:
    """What all nodes share: the data, and the time of the log's clock."""

    def __init__(self, clock: Clock, kept: timedelta = timedelta(minutes=10)) -> None:
        """Records are kept for the time *kept*."""
        self.clock = clock
        self._kept = kept
        self._way = Way.OPEN
        self._set_back_by = timedelta(0)
        #: How far the log's time is before its clock, and how late it was at the last renewal.
        self._ahead, self._latest = 0, Timestamp(0)
        self._births = itertools.count(1)
        self._data: LogData | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        #: How often whoever waits had reason to look again.
        self.wakes = 0
        self._late: list[tuple[MemoryLog, Callable[[], object]]] = []

    def log(self) -> "MemoryLog":
        """Return one node's way to the log."""
        return MemoryLog(self)

    @property
    def way(self) -> Way:
        """How all nodes reach the server; `MemoryLog.way` is for one of them."""
        return self._way

    @way.setter
    def way(self, way: Way) -> None:
        self._way = way
        self.way_has_changed()

    def set_clock_back(self, duration: timedelta) -> None:
        """Set the clock of the log back."""
        if self._data is not None:
            self._data.expire(self.now())
        self._set_back_by += duration

    def now(self) -> Timestamp:
        """Return the log's time."""
        return Timestamp(after(self.clock.now(), -self._set_back_by) + self._ahead)

    def keep_time(self) -> None:
        """Let the time go on where the clock was set back."""
        if self._data is not None:  # a lease ends by the time that passes, not by the clock
            self._data.expire(self.now())
        passed = self.now() - self._latest
        if not 0 <= passed <= milliseconds(LEASE):
            self._ahead = max(0, self._ahead - passed)
        self._latest = self.now()

    def lose_data(self) -> None:
        """Be without any data, as after a restart that found none."""
        self._data = None
        self._ahead, self._latest = 0, Timestamp(0)

    def backup(self) -> Callable[[], None]:
        """Return what sets the data back to those of now, as where an older copy is promoted."""
        kept = copy.deepcopy(self._data)

        def restore() -> None:
            self._data = copy.deepcopy(kept)

        return restore

    @property
    def data(self) -> LogData | None:
        """The data; None if there are none."""
        return self._data

    def known(self) -> LogData:
        """Return the data. Raises `LogLost` if there are none."""
        if self._data is None:
            raise LogLost("the log has lost its data")
        return self._data

    def begin(self, floor: StreamPosition) -> LogData:
        """Begin above *floor*, and above all that there is; return the data."""
        birth, before = Birth(f"birth-{next(self._births)}"), self._data
        if before is None:
            self._data = LogData(birth, floor, self._kept, self.now())
        else:
            self._data = before.begun_anew(birth, floor, self.now())
        return self._data

    def carry_out_later(self, log: "MemoryLog", work: Callable[[], object]) -> None:
        """Carry *work* out once the way of *log* is open, if it is not closed before."""
        self._late.append((log, work))

    def way_has_changed(self) -> None:
        """Carry out what came over a way that is not silent any more; let whoever waits look."""
        arrived = [it for it in self._late if it[0].way is not Way.SILENT]
        self._late = [it for it in self._late if it[0].way is Way.SILENT]
        for log, work in arrived:
            if log.way is not Way.CLOSED:
                with suppress(ClusterUnavailable, ClusterRefused):
                    work()
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self.wakes += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def change(self, until: Timestamp, since: int | None = None) -> None:
        """Return once something may have changed, at *until* at the latest.

        *since* is the number of `wakes` before the caller looked, if the caller awaited afterwards.
        """
        if since is not None and since != self.wakes:
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        timer = self.clock.call_at(until, self.wake)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.discard(waiting)


class MemoryLog:
    """A `Log` of a `LogServer`."""

    def __init__(self, server: LogServer) -> None:
        self._server = server
        self._way = Way.OPEN
        #: Which data this node has joined, or looked at first.
        self._birth: Birth | None = None
        #: The epoch of its last lease.
        self._epoch = 0
        #: The newest record that this node has read.
        self._read: StreamPosition | None = None

    @property
    def way(self) -> Way:
        """How this node reaches the server."""
        return self._way if self._way is not Way.OPEN else self._server.way

    @way.setter
    def way(self, way: Way) -> None:
        self._way = way
        self._server.way_has_changed()

    async def join(self, name: NodeName, facts: NodeFacts, floor: StreamPosition) -> Lease:
        def work() -> tuple[Birth, Lease]:
            least = max(floor, at_time(Timestamp(self._epoch)))
            self._server.keep_time()
            data, now = self._server.data, self._server.now()
            if data is not None:
                data.admit(name, facts, now)
            if data is None or self._knows_more(data, record_of(floor)):
                data = self._server.begin(least)
            return data.birth, data.join(name, facts, least, now)

        birth, lease = await self._answer(work)
        if birth != self._birth:
            self._birth, self._read = birth, None
        self._epoch = lease.epoch
        return lease

    async def renew(self, lease: Lease, applied: StreamPosition) -> ClusterStanding:
        def work() -> ClusterStanding:
            self._server.keep_time()
            return self._own_data().renew(lease, applied, self._server.now())

        return await self._answer(work)

    async def standing(self) -> ClusterStanding:
        return await self._answer(lambda: self._server.known().standing(self._server.now()))

    async def take(
        self, lease: Lease, partitions: Collection[PartitionId]
    ) -> frozenset[PartitionId]:
        server = self._server
        return await self._write(lambda: self._own_data().take(lease, partitions, server.now()))

    async def give(
        self, lease: Lease, heir: Lease, partitions: Collection[PartitionId]
    ) -> frozenset[PartitionId]:
        server = self._server
        return await self._write(
            lambda: self._own_data().give(lease, heir, partitions, server.now())
        )

    async def leave(self, lease: Lease) -> None:
        def work() -> None:
            if self._server.data is not None:
                self._server.data.leave(lease)

        await self._answer(work)

    async def tell(
        self, lease: Lease, partitions: Collection[PartitionId], payload: bytes, count: int
    ) -> StreamPosition:
        server = self._server
        return await self._write(
            lambda: self._own_data().tell(lease, partitions, payload, count, server.now())
        )

    async def agree(self, lease: Lease, nodes: Collection[Lease], facts: NodeFacts) -> bool:
        return await self._write(
            lambda: self._own_data().agree(lease, nodes, facts, self._server.now())
        )

    async def say(self, lease: Lease, to: Lease, payloads: Sequence[bytes]) -> bool:
        return await self._write(
            lambda: self._own_data().say(lease, to, payloads, self._server.now())
        )

    async def head(self) -> StreamPosition:
        return await self._answer(lambda: self._known_data().head)

    async def read(
        self, lease: Lease, after: StreamPosition, inbox_after: MessageId, longest: timedelta
    ) -> LogNews:
        until = self._later(longest)
        while True:
            wakes = self._server.wakes
            news, self._read = await self._answer(lambda: self._news(lease, after, inbox_after))
            if news.records or news.messages or self._server.clock.now() >= until:
                return news
            await self._server.change(until, wakes)

    async def close(self) -> None:
        """There is no connection."""

    def _knows_more(self, data: LogData, known: StreamPosition) -> bool:
        """Tell whether *data* may have given *known* again, or have lost it."""
        has_other = self._birth not in (None, data.birth)
        return known > data.head or (has_other and known > data.began)

    def _later(self, duration: timedelta) -> Timestamp:
        return after(self._server.clock.now(), duration)

    def _own_data(self) -> LogData:
        """Return the data for a method that takes the node's lease: of lost data it is none."""
        data = self._server.data
        if data is None:
            raise LeaseLost("the log has lost its data, and all leases")
        return data

    def _news(
        self, lease: Lease, after: StreamPosition, inbox_after: MessageId
    ) -> tuple[LogNews, StreamPosition | None]:
        """Return what there is to read, and the newest record that the node has read then."""
        data = self._known_data()
        if after == self._read and not data.has(after):
            raise LogLost("the log has lost records that this node has read")
        news = data.news(lease, after, inbox_after)
        if news.records:
            return news, news.records[-1].position
        return news, after if data.has(after) else self._read

    def _known_data(self) -> LogData:
        data = self._server.known()
        if self._birth not in (None, data.birth):
            raise LogLost("the log has lost its data, and has others")
        return data

    async def _write(self, work: Callable[[], T]) -> T:
        def written() -> T:
            answer = work()
            self._server.wake()
            return answer

        return await self._answer(written)

    async def _answer(self, work: Callable[[], T]) -> T:
        """Return the answer of *work*, or raise what it raises."""
        await next_turn()
        until = self._later(_PATIENCE)
        while self.way is Way.SILENT:
            if self._server.clock.now() >= until:
                self._server.carry_out_later(self, work)
                raise LogUnreachable("the log does not answer")
            await self._server.change(until)
        if self.way is Way.CLOSED:
            raise LogUnreachable("nobody is where the log should be")
        answer = work()
        await next_turn()
        while self.way is Way.ANSWERS_LOST:
            if self._server.clock.now() >= until:
                raise LogUnreachable("the log does not answer")
            await self._server.change(until)
        return answer

"""The stream of a node of a cluster: what the log has, in the log's order.

What is appended in one cycle of the event loop goes to the log as one record, and what is appended
meanwhile follows as the next one. Nothing happens on this node before the record has come back: the
consumer is handed the entries of all nodes, its own among them, in the order of the log.

Between two entries of the log the node counts positions of its own (`advance`). There is room for
`RECORD` of them; a node that has used half of it appends an entry that says nothing (`Idle`), after
which there is room again.

If a record cannot be written, or it is unknown whether it is, the node may not go on as if nothing
had happened: `end` tells all who wait that their entries are lost, and the node gets another lease.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from lamplighter.clock import Clock, milliseconds, next_turn, within
from lamplighter.cluster.entries import Changed, Entry, Forgotten, Idle, Refreshed
from lamplighter.cluster.log import Lease, Log, ToldToAll
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.positions import RECORD, instant_of
from lamplighter.cluster.stream import Consumer, Lost, Then
from lamplighter.cluster.wire import WireRecord, decode_record, encode_record
from lamplighter.errors import ClusterUnavailable, LeaseLost
from lamplighter.futures import fail, finish, retrieve
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.machine import TrackedUser

__all__ = ["MOST_BEHIND", "SharedStream"]

_log = structlog.get_logger(__name__)

#: A request that must hold everything waits so long for what this node has not read yet.
MOST_BEHIND: Final = timedelta(seconds=1)
#: A node that has read what was told so lately is taken for one that has read everything, where
#: what it misses does little harm.
_FRESH: Final = timedelta(milliseconds=20)
#: Positions that are further ahead of the clock do not tell when they were given: it was set back.
_AHEAD: Final = timedelta(seconds=1)
#: One record has at most this many entries.
_MOST_ENTRIES: Final = 1_000
_IDLE: Final = Idle()


@dataclass(frozen=True, slots=True)
class _Appended:
    """An entry that has not come back yet, and who waits for it."""

    entry: Entry
    then: Then | None
    lost: Lost | None


class SharedStream:
    """A `Stream` over a `Log`: of a node while it has a lease, from `begin` until `end`."""

    def __init__(
        self,
        clock: Clock,
        log: Log,
        position: StreamPosition,
        failed: Callable[[ClusterUnavailable], None],
        unsure: range = range(0),
    ) -> None:
        """Go on after *position*, that of an entry of the log.

        *failed* learns that a record could not be written. *unsure* are positions of which
        nobody may know any more what was told at them.
        """
        self.unsure = unsure
        self._clock = clock
        self._log = log
        self._position = self._read = position
        self._as_owned: Callable[[Iterable[UserId]], Sequence[TrackedUser]] = lambda _users: ()
        self._follow: Callable[[Sequence[TrackedUser]], None] = lambda _users: None
        self._failed = failed
        self._consumer: Consumer | None = None
        self._lease: Lease | None = None
        #: What waits to be written.
        self._open: list[_Appended] = []
        #: What is written, or being written, and has not come back, by record.
        self._away: deque[Sequence[_Appended]] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[StreamPosition] | None = None
        #: The futures of those who wait for a lease.
        self._beginning: set[asyncio.Future[None]] = set()
        #: The futures of those who wait for a position.
        self._awaited: dict[asyncio.Future[None], StreamPosition] = {}
        #: How many records this node has told, and how many of all nodes it has read.
        self.records_told = self.records_read = 0

    @property
    def position(self) -> StreamPosition:
        return self._position

    @property
    def read_until(self) -> StreamPosition:
        """The position of the last entry of the log that the consumer has had."""
        return self._read

    @property
    def is_current(self) -> bool:
        return False  # only the log knows

    @property
    def is_fresh(self) -> bool:
        age = self._clock.now() - instant_of(self._read)
        return -milliseconds(_AHEAD) < age < milliseconds(_FRESH)

    def hand_to(self, consumer: Consumer) -> None:
        if self._consumer is not None:
            raise RuntimeError("the stream has a consumer")
        self._consumer = consumer

    def append(self, entry: Entry, then: Then | None = None, lost: Lost | None = None) -> None:
        if self._lease is None:
            if lost is not None:
                error = LeaseLost("this node has no lease")
                asyncio.get_running_loop().call_soon(lost, error)
            return
        self._open.append(_Appended(entry, then, lost))
        if self._telling is None:
            self._telling = asyncio.ensure_future(self._tell(self._lease))

    def advance(self) -> StreamPosition:
        used = self._position - self._read
        if used == RECORD // 2:
            self.append(Idle())
        if used < RECORD - 1:
            self._position = StreamPosition(self._position + 1)
        return self._position

    async def catch_up(self) -> None:
        if self._lease is None:
            await self._begun()
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look_for_head())
            self._looking.add_done_callback(retrieve)
        await self.reach(await asyncio.shield(self._looking))

    async def reach(self, position: StreamPosition) -> None:
        """Return once the consumer has had the entry at *position*.

        Raises `ClusterUnavailable` if that takes longer than `MOST_BEHIND`.
        """
        if position <= self._read:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited[reached] = position
        try:
            await within(self._clock, MOST_BEHIND, reached)
        except TimeoutError:
            raise ClusterUnavailable("this node is behind the log") from None
        finally:
            self._awaited.pop(reached, None)

    def carry(
        self,
        as_owned: Callable[[Iterable[UserId]], Sequence[TrackedUser]],
        follow: Callable[[Sequence[TrackedUser]], None],
    ) -> None:
        """Let records carry users with their devices.

        *as_owned* returns users of this node as it has them. *follow* takes in those of other
        nodes, before the entries that changed them are handed over.
        """
        self._as_owned, self._follow = as_owned, follow

    # --- what the node does ---------------------------------------------------------------

    def begin(self, lease: Lease) -> None:
        """Write with *lease* from now on."""
        self._lease = lease
        for begun in self._beginning:
            finish(begun)

    def end(self, error: ClusterUnavailable) -> None:
        """Write no more; what has not come back is lost."""
        self._lease = None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        lost = [it for record in self._away for it in record] + self._open
        self._away.clear()
        self._open = []
        for appended in lost:
            if appended.lost is not None:
                appended.lost(error)
        for reached in self._awaited:
            fail(reached, error)

    async def flushed(self) -> None:
        """Return once everything that was appended has come back, or is lost."""
        if self._open or self._away:
            last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.append(Idle(), lambda _position: finish(last), lambda _error: finish(last))
            await last

    def take_in(self, record: ToldToAll) -> None:
        """Hand the entries of a record to the consumer; raise `ClusterRefused` for a later form."""
        content = decode_record(record.payload)
        self.records_read += 1
        is_mine = record.by == self._lease and bool(self._away)
        thens = [it.then for it in self._away.popleft()] if is_mine else [None] * record.count
        if not is_mine:
            self._follow(content.users)
        assert self._consumer is not None  # the node begins to read when it is wired
        for position, entry, then in zip(record.positions, content.entries, thens, strict=True):
            self._position = self._read = position
            self._consumer(position, entry)
            if then is not None:
                _go_on(then, position)
        self._let_go()

    def pass_by(self, position: StreamPosition, entry: Entry = _IDLE) -> None:
        """Hand *entry* over for what the log has at *position*, which no node has appended."""
        assert self._consumer is not None  # the node begins to read when it is wired
        self.records_read += 1
        self._position = self._read = position
        self._consumer(position, entry)
        self._let_go()

    def go_on_after(self, position: StreamPosition, entry: Entry) -> None:
        """Go on in a log that has lost its data: it has nothing up to *position*.

        *entry* is what this node had not read before.
        """
        if position > self._read:
            self.pass_by(position, entry)
        else:
            assert self._consumer is not None  # the node begins to read when it is wired
            self._consumer(self.advance(), entry)

    def _let_go(self) -> None:
        for reached, position in self._awaited.items():
            if position <= self._read:
                finish(reached)

    async def _begun(self) -> None:
        """Return once there is a lease; raise `LeaseLost` after `MOST_BEHIND`."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._beginning.add(begun)
        try:
            await within(self._clock, MOST_BEHIND, begun)
        except TimeoutError:
            raise LeaseLost("this node has no lease") from None
        finally:
            self._beginning.discard(begun)

    async def _look_for_head(self) -> StreamPosition:
        """Ask where the log ends: once for all who ask in one cycle of the event loop.

        Who asks later asks again: an answer that is under way may be too old.
        """
        await next_turn()
        self._looking = None
        return await self._log.head()

    async def _tell(self, lease: Lease) -> None:
        try:
            await next_turn()
            while self._open:
                record, self._open = self._open[:_MOST_ENTRIES], self._open[_MOST_ENTRIES:]
                self._away.append(record)
                entries = [it.entry for it in record]
                concerned = {user_id for entry in entries for user_id in _decided(entry)}
                payload = encode_record(WireRecord(entries, self._as_owned(concerned)))
                partitions = {partition_of(user_id) for user_id in concerned}
                await self._log.tell(lease, partitions, payload, len(record))
                self.records_told += 1
        except ClusterUnavailable as error:
            self._telling = None
            self._failed(error)
        except Exception:  # noqa: BLE001 - whatever it is, who waits for these entries is told
            _log.exception("an entry cannot be written")
            self._telling = None
            self._failed(ClusterUnavailable("an entry cannot be written"))
        else:
            self._telling = None


def _go_on(then: Then, position: StreamPosition) -> None:
    try:
        then(position)
    except Exception:  # noqa: BLE001 - whatever it is, the entries after this one are not lost
        _log.exception("going on after an entry failed")


def _decided(entry: Entry) -> Iterable[UserId]:
    """Return the users about whom *entry* says what only their owner may say."""
    match entry:
        case Changed():
            return (UserId(it.new.user_id) for it in entry.changes)
        case Refreshed():
            return (UserId(it.user_id) for it in entry.states)
        case Forgotten():
            return (entry.user_id,)
        case _:
            return ()

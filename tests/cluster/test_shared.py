"""The stream of a node over the log of its cluster."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from lamplighter.clock import after
from lamplighter.cluster.entries import Deactivated, Entry, Forgotten, Idle, Refreshed
from lamplighter.cluster.log import Lease, MessageId, NodeFacts, NodeName, PartitionId, ToldToAll
from lamplighter.cluster.partitions import partition_of
from lamplighter.cluster.positions import BEGINNING, RECORD, at_time, record_of
from lamplighter.cluster.shared import MOST_BEHIND, SharedStream
from lamplighter.cluster.wire import WireRecord, encode_record
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns, turns_until_idle
from lamplighter.errors import ClusterUnavailable, LeaseLost, LogUnreachable
from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.machine import StateSource, TrackedUser
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.presence.people import ALICE, BOB
from tests.routing.people import state


class CountingLog(MemoryLog):
    """A log that counts how often it is asked where it ends, and notes who is told of."""

    def __init__(self, server: LogServer) -> None:
        super().__init__(server)
        self.asked = 0
        self.about: list[set[PartitionId]] = []

    async def head(self) -> StreamPosition:
        self.asked += 1
        return await super().head()

    async def tell(
        self, lease: Lease, partitions: Collection[PartitionId], payload: bytes, count: int
    ) -> StreamPosition:
        self.about.append(set(partitions))
        return await super().tell(lease, partitions, payload, count)


class World:
    """A node that has joined, and reads when the test says so; and what its consumer was handed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = CountingLog(LogServer(self.clock))
        self.failures: list[ClusterUnavailable] = []
        self.happened: list[object] = []
        self.stream = SharedStream(self.clock, self.log, BEGINNING, self.failures.append)
        self.stream.hand_to(lambda position, entry: self.happened.append((position, entry)))

    async def begin(self, name: str = "a") -> Lease:
        """Join, own every partition, and write from now on."""
        lease = await self.log.join(NodeName(name), NodeFacts(name, {}), BEGINNING)
        await self.log.take(lease, [partition_of(it) for it in (ALICE, BOB)])
        await self.read(lease)
        self.stream.begin(lease)
        return lease

    async def read(self, lease: Lease) -> Sequence[int]:
        """Read what there is; return how many entries each record has."""
        told = await self.told(lease)
        for record in told:
            self.stream.take_in(record)
        return [it.count for it in told]

    async def told(self, lease: Lease) -> list[ToldToAll]:
        """Return what the node has not read."""
        await turns_until_idle()
        since = max(self.stream.read_until, (await self.log.standing()).complete_after)
        news = await self.log.read(lease, since, MessageId(""), timedelta(0))
        for record in news.records:
            if not isinstance(record, ToldToAll):
                self.stream.pass_by(record.position)
                self.happened.clear()
        return [it for it in news.records if isinstance(it, ToldToAll)]

    def append(self, entry: Entry, name: str) -> None:
        """Append an entry, and note what becomes of it."""
        self.stream.append(
            entry,
            lambda position: self.happened.append((name, position)),
            lambda error: self.happened.append((name, str(error))),
        )


def failing(_what: object) -> NoReturn:
    """Fail, whatever it is about."""
    raise ZeroDivisionError


@pytest.fixture
def world() -> World:
    """A node that has not joined."""
    return World()


async def test_a_record(world: World) -> None:
    """The entries of one cycle are one record, and those after it the next one. Nothing happens
    before a record has come back: then the consumer has each entry before whoever appended it.
    """
    lease = await world.begin()
    world.append(Forgotten(ALICE), "one")
    world.append(Forgotten(BOB), "two")
    await turns_until_idle()
    world.append(Idle(), "three")
    assert world.happened == []
    assert await world.read(lease) == [2, 1]
    end = world.stream.position
    first = end - 2 * RECORD
    assert world.happened == [
        (first, Forgotten(ALICE)),
        ("one", first),
        (first + RECORD, Forgotten(BOB)),
        ("two", first + RECORD),
        (end, Idle()),
        ("three", end),
    ]
    assert (world.stream.records_told, world.stream.read_until) == (2, end)


async def test_a_large_record(world: World) -> None:
    """A record has a limited number of entries; the others follow as the next one."""
    lease = await world.begin()
    for _ in range(1_001):
        world.stream.append(Idle())
    assert await world.read(lease) == [1_000, 1]


async def test_whom_an_entry_is_about(world: World) -> None:
    """A record says whose users it is about, and carries these as their owner has them."""
    lease = await world.begin()
    carried: list[set[UserId]] = []

    def as_owned(user_ids: Iterable[UserId]) -> Sequence[TrackedUser]:
        carried.append(set(user_ids))
        return ()

    world.stream.carry(as_owned, lambda _users: None)
    for entry in (Refreshed((state(ALICE), state(BOB))), Forgotten(BOB), Deactivated(ALICE)):
        world.stream.append(entry)
        await world.read(lease)
    assert carried == [{ALICE, BOB}, {BOB}, set()]
    assert world.log.about == [{partition_of(it) for it in users} for users in carried]


async def test_records_of_others(world: World) -> None:
    """What another node tells, or this one with another lease, is handed over as another's: first
    the users whom it carries, and nobody's `then` is called.
    """
    lease = await world.begin()
    world.stream.carry(lambda _: (), lambda users: world.happened.append(("follows", [*users])))
    user = TrackedUser(state(BOB), StateSource.DEVICES)
    payload = encode_record(WireRecord([Forgotten(BOB)], [user]))
    other = await world.log.join(NodeName("b"), NodeFacts("b", {}), BEGINNING)
    position = await world.log.tell(other, [], payload, 1)
    world.append(Idle(), "mine")
    world.stream.end(LeaseLost("ended"))
    world.stream.begin(other)
    again = await world.log.tell(lease, [], payload, 1)
    await world.read(lease)
    assert world.happened == [
        ("mine", "ended"),
        ("follows", [user]),
        (position, Forgotten(BOB)),
        ("follows", [user]),
        (again, Forgotten(BOB)),
    ]


async def test_no_lease(world: World) -> None:
    """What is appended without a lease is lost; whoever appended it learns so afterwards."""
    world.append(Idle(), "one")
    world.stream.append(Idle())
    assert world.happened == []
    await turns_until_idle()
    assert world.happened == [("one", "this node has no lease")]
    lease = await world.begin()
    assert await world.read(lease) == []


async def test_the_end_of_a_lease(world: World) -> None:
    """What has not come back is lost, whether it is written, is being written or waits for that;
    whoever waits for a position learns so at once. With the next lease the stream goes on.
    """
    lease = await world.begin()
    world.append(Idle(), "written")
    await turns_until_idle()
    world.log.way = Way.SILENT
    world.append(Idle(), "being written")
    await turns_until_idle()
    world.append(Idle(), "waits")
    reaching = asyncio.ensure_future(world.stream.reach(StreamPosition(10**30)))
    await turns_until_idle()
    error = LeaseLost("ended")
    world.stream.end(error)
    assert world.happened == [(it, "ended") for it in ("written", "being written", "waits")]
    with pytest.raises(LeaseLost, match="ended"):
        await reaching
    world.log.way = Way.OPEN
    other = await world.log.join(NodeName("b"), NodeFacts("b", {}), BEGINNING)
    world.happened.clear()
    world.stream.begin(other)
    world.append(Deactivated(BOB), "new")
    assert await world.read(lease) == [1, 1]
    end = world.stream.position
    [_, *new] = world.happened
    assert new == [(end, Deactivated(BOB)), ("new", end)]
    assert world.failures == []


async def test_a_record_that_cannot_be_written(world: World) -> None:
    """The node learns of it, whatever it is."""
    lease = await world.begin()
    world.log.way = Way.CLOSED
    world.append(Idle(), "one")
    await turns_until_idle()
    world.log.way = Way.OPEN
    [failure] = world.failures
    assert isinstance(failure, LogUnreachable)
    world.stream.end(failure)
    world.stream.begin(lease)
    world.stream.carry(failing, lambda _: None)
    with capture_logs() as logs:
        world.append(Idle(), "two")
        await turns_until_idle()
    assert [it["event"] for it in logs] == ["an entry cannot be written"]
    assert str(world.failures[-1]) == "an entry cannot be written"


async def test_positions_between_records(world: World) -> None:
    """A node counts on between two records, and not up to the next one. Halfway it appends an
    entry, after which there is room again.
    """
    lease = await world.begin()
    begin = world.stream.position
    for _ in range(RECORD + 5):
        world.stream.advance()
    assert (begin, world.stream.position) == (world.stream.read_until, begin + RECORD - 1)
    assert record_of(world.stream.position) == begin
    assert await world.read(lease) == [1]
    assert world.stream.advance() == world.stream.read_until + 1


async def test_catching_up(world: World) -> None:
    """A wait for everything ends once the node has read up to where the log ended. All who ask in
    one cycle of the event loop share one question; whoever asks later asks again.
    """
    lease = await world.begin()
    for _ in range(3):
        await world.stream.catch_up()
    assert world.log.asked == 3
    world.stream.append(Idle())
    await turns_until_idle()
    waiting = [asyncio.ensure_future(world.stream.catch_up()) for _ in range(3)]
    await turns_until_idle()
    assert (world.log.asked, [it.done() for it in waiting]) == (4, [False] * 3)
    waiting[0].cancel()
    await world.read(lease)
    await asyncio.gather(*waiting[1:])


async def test_some_who_ask_go(world: World) -> None:
    """If somebody who has asked goes before the answer has come, the others get it."""
    await world.begin()
    gone, stays = [asyncio.ensure_future(world.stream.catch_up()) for _ in range(2)]
    await turns(1)
    gone.cancel()
    await stays
    assert world.log.asked == 1


async def test_too_far_behind(world: World) -> None:
    """A wait for what the node does not read fails after `MOST_BEHIND`."""
    await world.begin()
    world.stream.append(Idle())
    await turns_until_idle()
    waiting = asyncio.ensure_future(world.stream.catch_up())
    await turns_until_idle()
    world.clock.advance(milliseconds=999)
    await turns_until_idle()
    assert not waiting.done()
    world.clock.advance(milliseconds=1)
    with pytest.raises(ClusterUnavailable, match="behind the log"):
        await waiting
    assert timedelta(seconds=1) == MOST_BEHIND


async def test_nobody_waits_for_an_answer(world: World) -> None:
    """A question whose askers have gone costs no warning if it fails."""
    await world.begin()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, it: complaints.append(it))
    world.log.way = Way.CLOSED
    asking = asyncio.ensure_future(world.stream.catch_up())
    with pytest.raises(LogUnreachable):
        await asking
    gone = asyncio.ensure_future(world.stream.catch_up())
    await turns(2)
    gone.cancel()
    await turns_until_idle()
    assert (gone.cancelled(), complaints) == (True, [])


async def test_catching_up_without_a_lease(world: World) -> None:
    """A node without a lease waits for one; if there is none in time, it does not know."""
    waiting = [asyncio.ensure_future(world.stream.catch_up()) for _ in range(2)]
    await turns_until_idle()
    waiting[0].cancel()
    await world.begin()
    await waiting[1]
    world.stream.end(LeaseLost("ended"))
    waiting = [asyncio.ensure_future(world.stream.catch_up())]
    await turns_until_idle()
    world.clock.advance(seconds=1)
    with pytest.raises(LeaseLost, match="no lease"):
        await waiting[0]


async def test_flushed(world: World) -> None:
    """Everything that was appended has come back, or is lost; if there is nothing, that is so."""
    lease = await world.begin()
    await world.stream.flushed()
    for ends in (False, True):
        world.stream.append(Idle())
        flushing = asyncio.ensure_future(world.stream.flushed())
        await turns_until_idle()
        assert not flushing.done()
        if ends:
            world.stream.end(LeaseLost("ended"))
        else:
            await world.read(lease)
        await flushing


async def test_one_that_fails(world: World) -> None:
    """If whoever has appended an entry fails, the entries after it are handed over all the same."""
    lease = await world.begin()
    world.stream.append(Forgotten(ALICE), failing)
    world.append(Forgotten(BOB), "two")
    with capture_logs() as logs:
        await world.read(lease)
    end = world.stream.read_until
    assert [it["event"] for it in logs] == ["going on after an entry failed"]
    assert world.happened == [
        (end - RECORD, Forgotten(ALICE)),
        (end, Forgotten(BOB)),
        ("two", end),
    ]


async def test_a_log_without_data(world: World) -> None:
    """After a loss of the log's data, the node goes on where the log begins, and never back.

    It hands on what it has missed.
    """
    lease = await world.begin()
    begin = world.stream.read_until
    waiting = asyncio.ensure_future(world.stream.reach(StreamPosition(begin + RECORD)))
    await turns_until_idle()
    world.stream.go_on_after(StreamPosition(begin - RECORD), Forgotten(ALICE))
    world.stream.go_on_after(begin, Idle())
    world.stream.go_on_after(StreamPosition(begin + RECORD), Forgotten(BOB))
    assert world.happened == [
        (begin + 1, Forgotten(ALICE)),
        (begin + 2, Idle()),
        (begin + RECORD, Forgotten(BOB)),
    ]
    await waiting
    assert lease.node == "a"


async def test_one_consumer(world: World) -> None:
    """A stream has one consumer."""
    with pytest.raises(RuntimeError):
        world.stream.hand_to(lambda _position, _entry: None)


async def test_how_fresh_it_is() -> None:
    """A node is fresh for 20 ms after something was told that it has read; it cannot know that
    where the clock of the log was set back.
    """
    world = World()
    lease = await world.begin()
    world.clock.advance(seconds=1)
    found = [world.stream.is_fresh]
    world.stream.append(Idle())
    await turns_until_idle()
    world.clock.advance(milliseconds=19)
    found.append(world.stream.is_fresh)
    await world.read(lease)
    found.append(world.stream.is_fresh)
    world.clock.advance(milliseconds=1)
    found.append(world.stream.is_fresh)
    world.stream.pass_by(at_time(after(world.clock.now(), timedelta(hours=1))))
    found.append(world.stream.is_fresh)
    assert found == [False, False, True, False, False]

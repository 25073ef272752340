"""How often a node reads the log on a real Valkey: the clock of the nodes is the tests' own."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.clock import milliseconds
from lamplighter.cluster.log import Lease, LogNews, LogRecord, MessageId, NodeFacts, NodeName, Said
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.valkey import ValkeyLog
from lamplighter.cluster.valkey_pace import COUNTED_FOR, PAUSE
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.ids import ServerName, StreamPosition
from tests.valkey import ValkeyServer

LONG: Final = timedelta(seconds=30)
#: So many records make a node pause if they come within `COUNTED_FOR`; one less do not.
ENOUGH: Final = milliseconds(COUNTED_FOR) + 1
#: More trips to the server than what is awaited takes.
TRIPS: Final = 50


class Node:
    """A node that reads the log, one read after the other."""

    def __init__(self, valkey: ValkeyServer, clock: FakeClock, name: str) -> None:
        self.name = NodeName(name)
        self.log = ValkeyLog(valkey.address, ServerName("demo.example"), clock)
        self.lease = Lease(self.name, 0)
        self.position = BEGINNING
        self.inbox = MessageId("")

    async def join(self) -> None:
        """Get a lease, and stand at the end of the log."""
        self.lease = await self.log.join(self.name, NodeFacts("http://x", {}), self.position)
        self.position, self.inbox = await self.log.head(), MessageId("")

    async def tell(self, count: int = 1) -> StreamPosition:
        """Append records, one after the other; return the position of the last."""
        position = BEGINNING
        for _ in range(count):
            position = await self.log.tell(self.lease, (), b"x", 1)
        return position

    async def say(self, to: "Node", count: int = 1) -> None:
        """Put messages into the inbox of another node."""
        await self.log.say(self.lease, to.lease, [b"y"] * count)

    async def read(self) -> LogNews:
        """Read once."""
        news = await self.log.read(self.lease, self.position, self.inbox, LONG)
        if news.records:
            self.position = news.records[-1].position
        if news.messages:
            self.inbox = news.messages[-1].id
        return news


class Cluster:
    """Node b reads; a does the rest."""

    def __init__(self, valkey: ValkeyServer) -> None:
        self.valkey = valkey
        self.clock = FakeClock()
        self.a, self.b = Node(valkey, self.clock, "a"), Node(valkey, self.clock, "b")

    async def much(self, count: int = ENOUGH, messages: int = 0, by: "Node | None" = None) -> None:
        """Have b read *count* records, of a or *by* another, and *messages*, in `COUNTED_FOR`."""
        by = by or self.a
        await by.tell()
        await self.b.read()
        await by.tell(count - 1)
        await self.a.say(self.b, messages)
        await self.b.read()
        await by.tell()
        self.clock.advance(seconds=COUNTED_FOR.total_seconds())
        await self.b.read()

    async def reading(self) -> "asyncio.Task[LogNews]":
        """Let b read, and come so far that it waits."""
        reading = asyncio.ensure_future(self.b.read())
        await self.answered(reading)
        return reading

    async def answered(self, reading: "asyncio.Task[LogNews]") -> bool:
        """Tell whether a read is answered without any time that passes."""
        for _ in range(TRIPS):
            if reading.done():
                return True
            await self.a.log.head()
            await turns_until_idle()
        return False

    def reads(self) -> int:
        """Return how many reads the server has answered."""
        found = re.search("cmdstat_xread:calls=([0-9]+)", self.valkey.tell("INFO", "commandstats"))
        return 0 if found is None else int(found[1])

    def reading_connections(self) -> int:
        """Return how many connections have asked last for news."""
        return self.valkey.tell("CLIENT", "LIST").count(" cmd=xread ")

    async def close(self) -> None:
        """Leave nothing behind."""
        for node in (self.a, self.b):
            await node.log.close()
        self.valkey.tell("FLUSHALL")


@pytest.fixture
async def cluster(valkey: ValkeyServer) -> AsyncIterator[Cluster]:
    """Two nodes."""
    cluster = Cluster(valkey)
    await cluster.a.join()
    await cluster.b.join()
    yield cluster
    await cluster.close()


def positions(records: tuple[LogRecord, ...]) -> list[StreamPosition]:
    """Return where records are."""
    return [it.position for it in records]


def payloads(messages: tuple[Said, ...]) -> list[bytes]:
    """Return what messages say."""
    return [it.payload for it in messages]


async def test_one_read_has_what_comes_in_a_pause(cluster: Cluster) -> None:
    """Where much is appended, records that come in one pause take one read, not one each."""
    await cluster.much()
    before = cluster.reads()
    for number in range(5):
        reading = await cluster.reading()
        told = [await cluster.a.tell() for _ in range(20)]
        assert not reading.done()
        cluster.clock.advance(seconds=PAUSE.total_seconds())
        assert await cluster.answered(reading)
        assert positions(reading.result().records) == told
        assert cluster.reads() - before == number + 1


async def test_where_less_is_appended_nobody_pauses(cluster: Cluster) -> None:
    """A record each millisecond is read at once, each by a read of its own."""
    await cluster.much(ENOUGH - 1)
    before = cluster.reads()
    for number in range(2 * ENOUGH):
        cluster.clock.advance(milliseconds=1)
        position = await cluster.a.tell()
        reading = asyncio.ensure_future(cluster.b.read())
        assert await cluster.answered(reading)
        assert positions(reading.result().records) == [position]
        assert cluster.reads() - before == number + 1


async def test_a_record_after_a_while_is_read_at_once(cluster: Cluster) -> None:
    """Who has read much has asked again when a pause is over, and does not wait for the clock."""
    await cluster.much()
    reading = await cluster.reading()
    cluster.clock.advance(seconds=PAUSE.total_seconds())
    assert not await cluster.answered(reading)
    position = await cluster.a.tell()
    assert await cluster.answered(reading)
    assert positions(reading.result().records) == [position]


async def test_what_was_much_ends(cluster: Cluster) -> None:
    """The first record after a quiet second is followed by no pause."""
    await cluster.much()
    cluster.clock.advance(seconds=1)
    for _ in range(2):
        position = await cluster.a.tell()
        reading = await cluster.reading()
        assert reading.done()
        assert positions(reading.result().records) == [position]


async def test_the_node_has_appended(cluster: Cluster) -> None:
    """A node's own record comes back without a pause, with those before it."""
    await cluster.much()
    reading = await cluster.reading()
    told = [await cluster.a.tell(), await cluster.b.tell()]
    assert await cluster.answered(reading)
    assert positions(reading.result().records) == told


async def test_the_node_has_appended_before(cluster: Cluster) -> None:
    """A node's own record is read without a pause if it was appended before the pause began."""
    await cluster.much()
    position = await cluster.b.tell()
    reading = asyncio.ensure_future(cluster.b.read())
    assert await cluster.answered(reading)
    assert positions(reading.result().records) == [position]


async def test_own_records_are_not_counted(cluster: Cluster) -> None:
    """A node that reads what it has appended itself does not pause for that."""
    await cluster.much(by=cluster.b)
    await cluster.a.tell()
    assert await cluster.answered(asyncio.ensure_future(cluster.b.read()))


async def test_the_node_has_asked_for_the_end(cluster: Cluster) -> None:
    """Who asks where the log ends waits for no pause, but only if there is something to read."""
    await cluster.much()
    reading = await cluster.reading()
    assert await cluster.b.log.head() == cluster.b.position
    position = await cluster.a.tell()
    assert not await cluster.answered(reading)
    assert await cluster.b.log.head() == position
    assert await cluster.answered(reading)
    assert positions(reading.result().records) == [position]


async def test_a_message_ends_a_pause(cluster: Cluster) -> None:
    """A message is read at once, after the records that were appended before it, in each pause."""
    await cluster.much()
    for _ in range(3):
        reading = await cluster.reading()
        position = await cluster.a.tell()
        assert not await cluster.answered(reading)
        await cluster.a.say(cluster.b)
        assert await cluster.answered(reading)
        news = reading.result()
        assert (positions(news.records), payloads(news.messages)) == ([position], [b"y"])


async def test_a_message_that_was_read(cluster: Cluster) -> None:
    """A message that came between two pauses does not end the second one."""
    await cluster.much()
    reading = await cluster.reading()
    cluster.clock.advance(seconds=PAUSE.total_seconds())
    await cluster.a.say(cluster.b)
    assert await cluster.answered(reading)
    await cluster.a.tell()
    reading = await cluster.reading()
    reading = reading if not reading.done() else await cluster.reading()
    await cluster.a.tell()
    assert not await cluster.answered(reading)


@pytest.mark.parametrize("records", [ENOUGH + 2 * 20 - 1, ENOUGH + 2 * 20])
async def test_who_gets_many_messages_does_not_pause(cluster: Cluster, records: int) -> None:
    """Two records for each message do not count: each message would be answered twice."""
    await cluster.much(records, messages=20)
    await cluster.a.tell()
    reading = await cluster.reading()
    assert reading.done() == (records < ENOUGH + 2 * 20)


async def test_who_is_behind_does_not_pause(cluster: Cluster) -> None:
    """An answer that is full is followed by the next read at once."""
    await cluster.much()
    reading = await cluster.reading()
    await cluster.a.tell(250)
    cluster.clock.advance(seconds=PAUSE.total_seconds())
    assert await cluster.answered(reading)
    for _ in range(2):
        reading = asyncio.ensure_future(cluster.b.read())
        assert await cluster.answered(reading)
    assert cluster.b.position == await cluster.b.log.head()


async def test_a_new_lease(cluster: Cluster) -> None:
    """A node with another lease listens to its new inbox."""
    await cluster.much()
    reading = await cluster.reading()
    await cluster.b.log.leave(cluster.b.lease)
    reading.cancel()
    await cluster.b.join()
    reading = await cluster.reading()
    assert not reading.done()
    await cluster.a.say(cluster.b)
    assert await cluster.answered(reading)
    assert payloads(reading.result().messages) == [b"y"]


async def test_the_connection_is_closed(cluster: Cluster) -> None:
    """A node that ends in a pause waits on no connection to the server any more."""
    await cluster.much()
    reading = await cluster.reading()
    assert cluster.reading_connections() == 2
    reading.cancel()
    await cluster.b.log.close()
    for _ in range(TRIPS):
        if not cluster.reading_connections():
            break
    assert cluster.reading_connections() == 0

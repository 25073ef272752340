"""What `Log` promises: the same of the double and of a real Valkey."""

import asyncio
import itertools
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.log import (
    Agreed,
    ClusterStanding,
    LogRecord,
    NodeFacts,
    NodeName,
    NodeStanding,
    Owned,
    PartitionId,
    ToldToAll,
)
from lamplighter.cluster.parts import Part
from lamplighter.cluster.positions import BEGINNING, RECORD, at_time, instant_of, record_of
from lamplighter.devtools.turns import turns, turns_until_idle
from lamplighter.errors import (
    LeaseLost,
    LogLost,
    LogUnreachable,
    NodeNameInUse,
    NodesDiffer,
)
from lamplighter.ids import StreamPosition
from tests.contract.logs import FACTS, AnyLogServer, joined

HOUR: Final = at_time(Timestamp(3_600_000))
LONG: Final = timedelta(seconds=30)


def owned(*partitions: int) -> frozenset[PartitionId]:
    """Return a set of partitions."""
    return frozenset(PartitionId(it) for it in partitions)


def payloads(records: list[LogRecord]) -> list[object]:
    """Return what records say, without their positions."""
    return [_payload(it) for it in records]


def _payload(record: LogRecord) -> object:
    match record:
        case Owned():
            return record.partitions
        case Agreed():
            return record.alike
        case ToldToAll():
            return record.payload


async def test_a_node_joins(server: AnyLogServer) -> None:
    """Whoever joins lives under its name, with its address, and owns nothing."""
    b, a = await joined(server, "b"), await joined(server, "a")
    standing = await b.log.standing()
    assert standing == ClusterStanding(
        (
            NodeStanding(a.lease, "http://a.example", BEGINNING),
            NodeStanding(b.lease, "http://b.example", BEGINNING),
        ),
        {},
        a.start,
        a.start,
        standing.now,
        standing.birth,
    )
    assert (a.lease.node, b.lease.node) == ("a", "b")
    assert at_time(standing.now) - at_time(Timestamp(60_000)) < a.start <= at_time(standing.now)


async def test_a_node_renews(server: AnyLogServer) -> None:
    """A node that renews its lease learns how the cluster is, and says how far it is itself."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await a.take(1, 2)
    position = await a.tell(b"x", 1)
    standing = await a.log.renew(a.lease, StreamPosition(position + 5))
    assert [node.applied for node in standing.nodes] == [position, BEGINNING]
    assert standing.owners == {1: a.lease, 2: a.lease}
    assert (standing.head, standing.complete_after) == (position, a.start)
    assert (await b.log.standing()).nodes == standing.nodes


async def test_epochs_grow(server: AnyLogServer) -> None:
    """No two leases have the same epoch; a later one has a larger epoch."""
    leases = [(await joined(server, name)).lease for name in "abcdefghijklmnopqrst"]
    a = await joined(server, "z")
    await a.log.leave(a.lease)
    leases += [a.lease, (await joined(server, "z")).lease]
    epochs = [lease.epoch for lease in leases]
    assert epochs == sorted(set(epochs))
    # So whoever has read a record knows of its epoch.
    b = await joined(server, "b2")
    assert instant_of(await b.tell(b"x")) >= b.lease.epoch


async def test_a_name_in_use(server: AnyLogServer) -> None:
    """A second node of the same name is refused until the first has gone, in whatever way."""
    first = await joined(server, "a")
    with pytest.raises(NodeNameInUse, match="the name a"):
        await joined(server, "a")
    await first.log.leave(first.lease)
    second = await joined(server, "a")
    await server.end(second)
    third = await joined(server, "a")
    await first.log.leave(first.lease)
    assert [it.lease for it in (await third.log.standing()).nodes] == [third.lease]


@pytest.mark.parametrize(
    ("alike", "fact"),
    [
        ({"key": "1", "modules": "m"}, "modules: m at this node, not set at node a"),
        ({"key": "2"}, "key: 2 at this node, 1 at node a"),
        ({}, "key: not set at this node, 1 at node a"),
    ],
)
async def test_facts_that_differ(server: AnyLogServer, alike: dict[str, str], fact: str) -> None:
    """A node that differs from a living one is refused, and told in what; both ways round."""
    first, second = server.log(), server.log()
    lease = await first.join(NodeName("a"), NodeFacts("x", {"key": "1"}), BEGINNING)
    with pytest.raises(NodesDiffer, match=fact):
        await second.join(NodeName("b"), NodeFacts("y", alike), BEGINNING)
    await first.leave(lease)
    assert (await second.join(NodeName("b"), NodeFacts("y", alike), BEGINNING)).node == "b"


async def test_parts_that_differ(server: AnyLogServer) -> None:
    """A node that differs is told which part it is, if both say what the digests are made of.

    So it is with what the nodes have agreed on, too.
    """
    first, second = server.log(), server.log()
    lists = {"1": (Part("a"), Part("b")), "2": (Part("b"), Part("c")), "3": ()}
    facts = {it: NodeFacts("x", {"key": it}, {it: of}) for it, of in lists.items()}
    lease = await first.join(NodeName("a"), facts["1"], BEGINNING)
    with pytest.raises(NodesDiffer, match=r"^key: not as at node a: a is missing; c is extra$"):
        await second.join(NodeName("b"), facts["2"], BEGINNING)
    with pytest.raises(NodesDiffer, match=r"^key: 2 at this node, 1 at node a$"):
        await second.join(NodeName("b"), NodeFacts("x", {"key": "2"}), BEGINNING)
    assert await first.agree(lease, [lease], facts["2"])
    with pytest.raises(NodesDiffer, match=r"^key: not as at node a: b is missing; c is missing$"):
        await second.join(NodeName("b"), facts["3"], BEGINNING)
    await second.join(NodeName("b"), NodeFacts("y", {"key": "2"}), BEGINNING)


async def test_partitions_are_taken(server: AnyLogServer) -> None:
    """A node gets what no living node owns; all learn of it, unless it is nothing."""
    a, b = await joined(server, "a"), await joined(server, "b")
    assert await a.take(1, 2) == owned(1, 2)
    assert await b.take(1, 2, 3) == owned(3)
    assert await a.take(1, 2, 3) == owned()
    assert [
        (record.owner, record.partitions)
        for record in await b.records(a.start)
        if isinstance(record, Owned)
    ] == [(a.lease, owned(1, 2)), (b.lease, owned(3))]
    assert (await a.log.standing()).owners == {1: a.lease, 2: a.lease, 3: b.lease}


async def test_a_race_for_partitions(server: AnyLogServer) -> None:
    """Of many nodes that take the same partitions at once, one gets each."""
    nodes = [await joined(server, name) for name in "abcdef"]
    taken = await asyncio.gather(*(node.take(*range(64)) for node in nodes))
    assert sorted(it for part in taken for it in part) == list(range(64))


async def test_partitions_are_given(server: AnyLogServer) -> None:
    """An owner gives what it owns, and only that, and does not own it any more."""
    a, b, c = [await joined(server, name) for name in "abc"]
    await a.take(1, 2)
    await c.take(3)
    given = [PartitionId(it) for it in (2, 3, 4)]
    assert await a.log.give(a.lease, b.lease, given) == owned(2)
    assert await a.log.give(a.lease, b.lease, given) == owned()
    with pytest.raises(LeaseLost):
        await a.tell(b"x", 1, 2)
    await b.tell(b"y", 2)
    assert payloads(await a.records()) == [owned(1, 2), owned(3), owned(2), b"y"]


async def test_an_heir_that_is_gone(server: AnyLogServer) -> None:
    """Nothing is given to a lease that has ended, even if its node is back with another one."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await a.take(1)
    await server.end(b, a)
    assert await a.log.give(a.lease, b.lease, owned(1)) == owned()
    await joined(server, "b")
    assert await a.log.give(a.lease, b.lease, owned(1)) == owned()
    await a.tell(b"x", 1)


async def test_a_node_leaves(server: AnyLogServer) -> None:
    """What a node owned that leaves can be taken at once. To leave twice does nothing."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await a.take(1)
    await a.log.leave(a.lease)
    await a.log.leave(a.lease)
    standing = await b.log.standing()
    assert ([node.lease for node in standing.nodes], standing.owners) == ([b.lease], {})
    assert await b.take(1) == owned(1)


async def test_a_frozen_owner(server: AnyLogServer) -> None:
    """A node whose lease has ended writes nothing, whether another has its partitions or not."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await a.take(7)
    await a.tell(b"x", 7)
    await server.end(a, b)
    assert (await b.log.standing()).owners == {}
    writes = [
        lambda: a.tell(b"y", 7),
        lambda: a.tell(b"y"),
        lambda: a.say(b, b"y"),
        lambda: a.take(8),
        lambda: a.log.give(a.lease, b.lease, owned(7)),
        a.renew,
    ]
    for write in writes:
        with pytest.raises(LeaseLost, match="the lease of a"):
            await write()
    assert await b.take(7) == owned(7)
    again = await joined(server, "a")
    for write in writes:
        with pytest.raises(LeaseLost):
            await write()
    with pytest.raises(LeaseLost):
        await again.tell(b"y", 7)
    assert payloads(await b.records(a.start)) == [owned(7), b"x", owned(7)]
    assert (await b.read(b.start)).messages == ()


async def test_records(server: AnyLogServer) -> None:
    """A record has the position of its last entry; each entry is one `RECORD` after the last."""
    a = await joined(server, "a")
    await a.take(1, 2)
    first = await a.tell(b"one", 1, 2)
    many = await a.tell(bytes(range(256)), 1, count=40)
    last = await a.tell(b"", count=2)
    records = await a.records()
    assert records[1:] == [
        ToldToAll(first, a.lease, 1, b"one"),
        ToldToAll(many, a.lease, 40, bytes(range(256))),
        ToldToAll(last, a.lease, 2, b""),
    ]
    assert records[0].position < first
    assert first + 40 * RECORD <= many
    assert many + 2 * RECORD <= last == await a.log.head()
    assert {record_of(it.position) - it.position for it in records} == {0}


async def test_a_record_without_entries(server: AnyLogServer) -> None:
    """A record has an entry: its position would be that of the record before."""
    a = await joined(server, "a")
    with pytest.raises(ValueError, match="entry"):
        await a.tell(b"x", count=0)


async def test_partitions_of_others(server: AnyLogServer) -> None:
    """A record that concerns a partition of another, or of nobody, is not written."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await a.take(1)
    await b.take(2)
    for partitions in ((2,), (1, 2), (1, 3)):
        with pytest.raises(LeaseLost):
            await a.tell(b"x", *partitions)
    assert payloads(await a.records()) == [owned(1), owned(2)]


async def test_positions_grow(server: AnyLogServer) -> None:
    """Every record is after all before it, also where a millisecond has no room for more."""
    a, b = await joined(server, "a"), await joined(server, "b")
    # At once: one after the other may take longer than the leases live.
    telling = (it.tell(b"x", count=7) for _ in range(100) for it in (a, b))
    told = await asyncio.gather(*telling)
    positions = [record.position for record in await b.records(a.start)]
    assert [told[::2], told[1::2], positions] == [*map(sorted, (told[::2], told[1::2], told))]
    assert all(later - earlier >= 7 * RECORD for earlier, later in itertools.pairwise(positions))
    assert positions[0] >= a.start + 7 * RECORD


async def test_a_clock_that_was_set_back(server: AnyLogServer) -> None:
    """Positions and epochs grow on, and the dead do not live longer."""
    a, b = await joined(server, "a"), await joined(server, "b")
    first = await a.tell(b"x")
    await server.set_clock_back(a)
    second = await b.tell(b"y")
    await b.renew()
    assert first < second == await b.log.head()
    await server.end(a, b)
    again = await joined(server, "a")
    assert again.lease.epoch > b.lease.epoch
    third = await again.tell(b"z")
    assert third > second
    assert instant_of(third) >= again.lease.epoch
    assert payloads(await b.records(a.start)) == [b"x", b"y", b"z"]


async def test_the_time_goes_on(server: AnyLogServer) -> None:
    """If the clock is set back by an hour, the time of all nodes goes on from where it was."""
    a = await joined(server, "a")
    before = (await a.log.standing()).now
    await server.set_clock_back(a)
    now = (await a.log.renew(a.lease, BEGINNING)).now
    assert now >= before
    assert instant_of(await a.tell(b"x")) >= now


async def test_nodes_agree(server: AnyLogServer) -> None:
    """What all living nodes have agreed on is asked of whoever joins; all learn of it, in order."""
    a, b = await joined(server, "a"), await joined(server, "b")
    facts = {"version": "2"}
    assert await a.log.agree(a.lease, [a.lease, b.lease], NodeFacts("", facts))
    await b.tell(b"x")
    assert payloads(await b.records(a.start)) == payloads(await a.records()) == [facts, b"x"]
    assert (await b.records(a.start))[0] == Agreed((await a.records())[0].position, a.lease, facts)
    with pytest.raises(NodesDiffer, match="version: 1 at this node, 2 at node"):
        await joined(server, "c")
    c = await server.log().join(NodeName("c"), NodeFacts("http://c.example", facts), BEGINNING)
    assert {it.lease for it in (await a.log.standing()).nodes} == {a.lease, b.lease, c}


async def test_not_all_agree(server: AnyLogServer) -> None:
    """Nothing changes if a node lives that does not take part, and be it another lease of one."""
    a, b = await joined(server, "a"), await joined(server, "b")
    assert not await a.log.agree(a.lease, [a.lease], NodeFacts("", {"version": "2"}))
    await server.end(b, a)
    again = await joined(server, "b")
    assert not await a.log.agree(a.lease, [a.lease, b.lease], NodeFacts("", {"version": "2"}))
    assert await a.records() == []
    await server.end(again, a)
    assert await a.log.agree(a.lease, [a.lease, b.lease], NodeFacts("", {"version": "2"}))


async def test_agreeing_without_a_lease(server: AnyLogServer) -> None:
    """A node whose lease has ended changes nothing for the others."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await server.end(a, b)
    with pytest.raises(LeaseLost):
        await a.log.agree(a.lease, [a.lease, b.lease], NodeFacts("", {"version": "2"}))
    assert await b.records() == []
    await joined(server, "c")


async def test_messages(server: AnyLogServer) -> None:
    """Messages are in the inbox of the lease that they were said to, in order, and in no other."""
    a, b, c = [await joined(server, name) for name in "abc"]
    assert await a.say(b, b"1", b"2")
    assert await c.say(b, b"3")
    assert await b.say(b, b"4")
    news = await b.read(b.start)
    assert [(it.by, it.payload) for it in news.messages] == [
        (a.lease, b"1"),
        (a.lease, b"2"),
        (c.lease, b"3"),
        (b.lease, b"4"),
    ]
    later = await b.read(b.start, news.messages[1].id)
    assert later.messages == news.messages[2:]
    assert (await b.read(b.start, news.messages[-1].id)).messages == ()
    assert (await a.read(a.start)).messages == (await c.read(c.start)).messages == ()


async def test_messages_to_the_dead(server: AnyLogServer) -> None:
    """Whoever says something to a lease that has ended learns it; its successor hears nothing."""
    a, b = await joined(server, "a"), await joined(server, "b")
    assert await a.say(b, b"1")
    await server.end(b, a)
    assert not await a.say(b, b"2")
    again = await joined(server, "b")
    assert not await a.say(b, b"3")
    assert await a.say(again, b"4")
    assert [it.payload for it in (await again.read(again.start)).messages] == [b"4"]


async def test_reading_waits(server: AnyLogServer) -> None:
    """Whoever reads is woken by a record or by a message, its own record too."""
    a, b = await joined(server, "a"), await joined(server, "b")
    reading = [asyncio.ensure_future(it.read(it.start, "", LONG)) for it in (a, b)]
    await turns_until_idle()
    position = await a.tell(b"x")
    for news in await asyncio.gather(*reading):
        assert news.records == (ToldToAll(position, a.lease, 1, b"x"),)
        assert news.messages == ()
    reading = [asyncio.ensure_future(b.read(position, "", LONG))]
    await turns_until_idle()
    await a.say(b, b"hello")
    news = await reading[0]
    assert ([*news.records], [it.payload for it in news.messages]) == ([], [b"hello"])


async def test_reading_as_something_is_told(server: AnyLogServer) -> None:
    """A record wakes whoever reads, at whichever moment of the reading it is told."""
    a, b = await joined(server, "a"), await joined(server, "b")
    position = b.start
    for moment in range(10):
        reading = asyncio.ensure_future(b.read(position, "", LONG))
        await turns(moment)
        position = await a.tell(b"x")
        for _ in range(1_000):  # trips to the server
            if reading.done():
                break
            await a.log.head()
        assert reading.done()
        assert [it.position for it in reading.result().records] == [position]


async def test_reading_in_vain(server: AnyLogServer) -> None:
    """Whoever reads for a time gets nothing after that time if there is nothing."""
    a = await joined(server, "a")
    for after in (a.start, a.start + 5):
        reading = asyncio.ensure_future(
            a.read(StreamPosition(after), "", timedelta(milliseconds=20))
        )
        await turns_until_idle()
        server.clock.advance(milliseconds=20)
        news = await reading
        assert (*news.records, *news.messages) == ()


async def test_much_to_read(server: AnyLogServer) -> None:
    """What is too much for one answer comes with the next ones, records and messages together."""
    a = await joined(server, "a")
    payloads_told = [b"%d" % number for number in range(250)]
    # At once: one after the other may take longer than the lease lives.
    await asyncio.gather(*map(a.tell, payloads_told))
    await a.say(a, *payloads_told)
    first = await a.read(a.start)
    second = await a.read(first.records[-1].position, first.messages[-1].id)
    assert 0 < len(first.records) < 250
    assert 0 < len(first.messages) < 250
    records = [*first.records, *second.records]
    messages = [*first.messages, *second.messages]
    assert payloads(records) == [b"%d" % it for it in range(len(records))]
    assert [it.payload for it in messages] == [b"%d" % it for it in range(len(messages))]
    assert len(await a.records()) == 250


async def test_reading_from_anywhere(server: AnyLogServer) -> None:
    """A node may begin to read between two records, and after the newest one."""
    a = await joined(server, "a")
    told_by_a = [b"0", b"1", b"2", b"3"]
    told = [await a.tell(payload, count=3) for payload in told_by_a]
    b = await joined(server, "b")
    places = {
        told[1] - RECORD: told_by_a[1:],
        told[1] + 7: told_by_a[2:],
        told[3]: [],
        told[3] + 7: [],
    }
    for place, expected in places.items():
        assert payloads(await b.records(StreamPosition(place))) == expected
    standing = await b.log.standing()
    assert standing.complete_after == a.start
    assert payloads(await b.records(standing.complete_after)) == told_by_a
    with pytest.raises(LogLost):
        await b.read(StreamPosition(a.start - RECORD))
    with pytest.raises(LogLost):
        await b.read(StreamPosition(told[3] + RECORD), "", LONG)


async def test_lost_data(server: AnyLogServer) -> None:
    """A log without data is no log at its beginning: nobody is up to date, and nobody writes."""
    a = await joined(server, "a")
    await a.take(1)
    position = await a.tell(b"x", 1)
    assert len(await a.records()) == 2
    reading = asyncio.ensure_future(a.read(position, "", timedelta(milliseconds=20)))
    await turns_until_idle()
    await server.lose_data()
    server.clock.advance(milliseconds=20)
    for reads in (reading, a.read(position), a.read(BEGINNING), a.log.head(), a.log.standing()):
        with pytest.raises(LogLost):
            await reads
    for writes in (a.tell(b"y", 1), a.renew(), a.take(1), a.say(a, b"y")):
        with pytest.raises(LeaseLost):
            await writes
    await a.log.leave(a.lease)


async def test_data_after_a_loss(server: AnyLogServer) -> None:
    """What comes after a loss is another log, above all that the node knew that began it.

    A node that has not joined again does not take it for the log that it knows.
    """
    a, b = await joined(server, "a"), await joined(server, "b")
    born = (await a.log.standing()).birth
    ahead = StreamPosition(await a.tell(b"x") + HOUR + 3)
    await server.lose_data()
    again = await joined(server, "a", ahead, log=a.log)
    assert again.lease.epoch > b.lease.epoch
    standing = await again.log.standing()
    assert (standing.birth != born, standing.owners) == (True, {})
    assert ahead < standing.head == standing.complete_after
    with pytest.raises(LogLost):
        await again.read(StreamPosition(standing.head - RECORD), "", LONG)
    assert standing.head < await again.tell(b"y")
    assert payloads(await again.records()) == [b"y"]
    for reads in (b.log.head(), b.read(b.start), b.read(standing.head)):
        with pytest.raises(LogLost):
            await reads
    with pytest.raises(LeaseLost):
        await b.renew()
    further = StreamPosition(ahead + HOUR)
    third = await joined(server, "b", further, log=b.log)
    assert third.lease.epoch > again.lease.epoch
    assert await third.tell(b"z") > further
    assert payloads(await third.records()) == [b"z"]
    with pytest.raises(LogLost):
        await again.records()


@pytest.mark.parametrize("is_ahead", [True, False], ids=["ahead of the log", "given again"])
async def test_a_lost_log_that_began_too_early(server: AnyLogServer, is_ahead: bool) -> None:
    """If a node that knows less begins a lost log, one that knows more lets it begin once more,
    above all that either knows. Then the first has lost its lease, and knows of the other birth.
    """
    a, c = await joined(server, "a"), server.log()
    known = await a.tell(b"x", count=1_000)
    await server.lose_data()
    await server.set_clock_back(a)
    fresh = await joined(server, "c", log=c)
    told = await fresh.tell(b"y", count=1)
    if not is_ahead:
        known = StreamPosition(fresh.start + RECORD)
    again = await joined(server, "a", known, log=a.log)
    assert again.start > max(known, told)
    assert again.lease.epoch > fresh.lease.epoch
    with pytest.raises(LeaseLost):
        await fresh.renew()
    with pytest.raises(LogLost):
        await fresh.read(told)
    third = await joined(server, "c", told, log=c)
    assert third.start == again.start
    await third.tell(b"z")
    assert payloads(await again.records()) == payloads(await third.records()) == [b"z"]


async def test_epochs_after_a_loss(server: AnyLogServer) -> None:
    """A lease from after a loss has a larger epoch than any whose records the node has read."""
    epochs, floor = list[int](), BEGINNING
    for _ in range(3):
        for name in "abcdefghij":
            node = await joined(server, name, floor)
            epochs.append(node.lease.epoch)
        floor = await node.tell(b"x")
        await server.lose_data()
        await server.set_clock_back(node)
    assert epochs == sorted(set(epochs))


async def test_reading_where_other_data_were(server: AnyLogServer) -> None:
    """A node that has joined again reads the new log from anywhere, also from a position that was a
    record of the lost one.
    """
    ahead = StreamPosition((await joined(server, "a")).start + HOUR)
    await server.lose_data()
    a, b = await joined(server, "a", ahead), await joined(server, "b")
    await b.tell(b"old", count=5)
    [old] = await a.records()
    await server.lose_data()
    again = await joined(server, "b", ahead, log=b.log)
    new = await again.tell(b"new", count=10)
    assert again.start < old.position < new
    a = await joined(server, "a", log=a.log)
    assert payloads(await a.records(old.position)) == [b"new"]


async def test_an_older_copy(server: AnyLogServer) -> None:
    """Who has read what the log has lost does not take the rest for the log that it knows."""
    a = await joined(server, "a")
    await a.tell(b"1")
    restore = await server.backup()
    lost = await a.tell(b"2")
    assert len(await a.records()) == 2
    await restore()
    with pytest.raises(LogLost):
        await a.read(lost)
    with pytest.raises(LeaseLost):
        await a.log.renew(a.lease, lost)
    await server.end(a)
    a = await joined(server, "a", log=a.log)
    assert await a.tell(b"3") > lost
    await a.tell(b"4")
    with pytest.raises(LogLost):
        await a.read(lost)
    assert payloads(await a.records()) == [b"3", b"4"]


async def test_a_server_that_is_away(server: AnyLogServer) -> None:
    """Every call fails while nobody answers, also one that waits; after that all is as before."""
    a, b = await joined(server, "a"), await joined(server, "b")
    await a.take(1)
    reading = asyncio.ensure_future(b.read(await a.log.head(), "", LONG))
    await turns_until_idle()
    await b.log.head()  # the server has got the command before this one
    server.stop()
    facts = NodeFacts("x", {})
    calls = [
        reading,
        a.log.join(NodeName("c"), facts, BEGINNING),
        a.renew(),
        a.log.standing(),
        a.take(2),
        a.log.give(a.lease, b.lease, owned(1)),
        a.log.leave(a.lease),
        a.tell(b"x", 1),
        a.say(b, b"x"),
        a.log.head(),
        a.read(a.start),
    ]
    for call in calls:
        with pytest.raises(LogUnreachable):
            await call
    server.start()
    await a.renew()
    position = await a.tell(b"y", 1)
    assert await b.say(a, b"hello")
    news = await a.read(a.start)
    assert payloads([*news.records]) == [owned(1), b"y"]
    assert [it.payload for it in news.messages] == [b"hello"]
    assert await b.log.head() == position


async def test_a_server_that_stands_still(server: AnyLogServer) -> None:
    """A call gets no answer in time, may be carried out later, and does not disturb the next."""
    a = await joined(server, "a")
    with server.frozen():
        calls = [asyncio.ensure_future(it) for it in (a.tell(b"1"), a.log.head())]
        await turns_until_idle()
        server.clock.advance(seconds=1)
        for call in calls:
            with pytest.raises(LogUnreachable):
                await call
    await a.tell(b"2")
    assert payloads(await a.records()) in ([b"1", b"2"], [b"2"], [b"2", b"1"])


async def test_a_join_that_is_not_answered(server: AnyLogServer) -> None:
    """A node that does not know whether it has joined has not: other data are not its own."""
    a = await joined(server, "a")
    await server.lose_data()
    with server.frozen():
        facts = NodeFacts("http://a.example", FACTS)
        joining = asyncio.ensure_future(a.log.join(NodeName("a"), facts, BEGINNING))
        await turns_until_idle()
        server.clock.advance(seconds=1)
        with pytest.raises(LogUnreachable):
            await joining
    await joined(server, "b")
    with pytest.raises(LogLost):
        await a.log.head()


async def test_whoever_goes_while_waiting(server: AnyLogServer) -> None:
    """A call that was cancelled leaves no answer to the next one."""
    a = await joined(server, "a")
    for call in (a.read(a.start, "", LONG), a.log.head(), a.tell(b"x")):
        going = asyncio.ensure_future(call)
        await turns_until_idle()
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        assert (await a.log.standing()).nodes[0].lease == a.lease
        assert (await a.read(a.start)).messages == ()

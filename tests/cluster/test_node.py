"""A node of a cluster: what it reads, and which partitions it takes and gives."""

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.cluster.entries import Entry, Forgotten, Idle
from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.log import Agreed, Lease, NodeFacts, NodeName, PartitionId
from lamplighter.cluster.node import ClusterNode
from lamplighter.cluster.partitions import ALL_PARTITIONS, heirs_of
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.shared import SharedStream
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import ClusterRefused, ClusterUnavailable, LeaseLost
from lamplighter.ids import StreamPosition
from tests.cluster.memory_log import LogServer, Way
from tests.presence.people import ALICE

A_AND_B = heirs_of(frozenset({NodeName("a"), NodeName("b")}))
OF_A = {it for it, heir in A_AND_B.items() if heir == "a"}
OF_B = set(ALL_PARTITIONS - OF_A)


class Ownership:
    """What the node tells of ownership, written down."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.living_now: AbstractSet[Lease] = frozenset()
        self.held: set[PartitionId] = set()
        self.released: set[PartitionId] = set()
        self.drains = 0
        #: Set while all that was decided is in the log and saved.
        self.is_drained = asyncio.Event()
        self.is_drained.set()
        #: Why the node can catch up only by a start; None if it can.
        self.refusal: ClusterRefused | None = None

    def began(self, lease: Lease) -> None:
        self.told.append(("began", lease))

    def ended(self) -> None:
        self.told.append(("ended",))
        self.held.clear()

    def cut_off(self, error: ClusterUnavailable) -> None:
        self.told.append(("cut off",))

    def hold(self, partitions: AbstractSet[PartitionId]) -> None:
        self.held |= partitions

    def release(self, partitions: AbstractSet[PartitionId]) -> None:
        self.held -= partitions
        self.released |= partitions

    async def drained(self) -> None:
        self.drains += 1
        await self.is_drained.wait()

    def owned(self, owner: Lease, partitions: AbstractSet[PartitionId]) -> None:
        self.told.append(("owned", owner.node, set(partitions)))
        self.held -= partitions

    def heard(self, by: Lease, payload: bytes) -> None:
        self.told.append(("heard", by.node, payload))

    def living(self, leases: AbstractSet[Lease]) -> None:
        self.living_now = leases

    async def log_lost(self) -> Entry:
        self.told.append(("log lost",))
        return Idle()

    async def catch_up(self) -> None:
        self.told.append(("catches up",))
        if self.refusal is not None:
            raise self.refusal

    def take(self) -> list[tuple[object, ...]]:
        """Return what the node has told since the last time."""
        told, self.told = self.told, []
        return told


class Agreement:
    """What the nodes agree on, written down."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.fails_with: Exception | None = None

    def began(self, lease: Lease) -> None:
        self.told.append(("began", lease))

    def ended(self) -> None:
        self.told.append(("ended",))

    def living(self, leases: AbstractSet[Lease], head: StreamPosition) -> None:
        pass

    def agreed(self, record: Agreed) -> Entry:
        self.told.append(("agreed", dict(record.alike)))
        if self.fails_with is not None:
            raise self.fails_with
        return Forgotten(ALICE)


class Node:
    """One node, with all that it tells."""

    def __init__(self, server: LogServer, clock: FakeClock, name: str) -> None:
        self.log = server.log()
        self.ownership, self.agreement = Ownership(), Agreement()
        self.entries: list[Entry] = []
        self.ended: list[str] = []
        self._clock = clock
        facts = NodeFacts(name, {})
        self.holder = LeaseHolder(NodeName(name), facts, clock, self.log, lambda _: None)

    def start(self) -> None:
        """Begin to read, after `join`."""
        self.stream = SharedStream(
            self._clock, self.log, self.holder.standing.head, self.holder.fail
        )
        self.stream.hand_to(lambda _position, entry: self.entries.append(entry))
        self.node = ClusterNode(
            self._clock,
            self.log,
            self.holder,
            self.stream,
            self.ownership,
            self.agreement,
            lambda error: self.ended.append(str(error)),
        )
        self.node.start()

    @property
    def lease(self) -> Lease:
        """The lease; there must be one."""
        assert self.holder.lease is not None
        return self.holder.lease


class World:
    """Nodes over one log."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server = LogServer(self.clock)
        self.nodes: list[Node] = []

    async def start(self, name: str) -> Node:
        """Start a node, and let it read and renew."""
        node = Node(self.server, self.clock, name)
        self.nodes.append(node)
        await node.holder.join(BEGINNING)
        node.start()
        await self.passes(1.5)
        return node

    async def passes(self, seconds: float) -> None:
        """Let time pass, with all that follows."""
        await turns_until_idle()
        for _ in range(int(seconds * 4)):
            self.clock.advance(milliseconds=250)
            await turns_until_idle()

    async def owners(self) -> dict[str, set[PartitionId]]:
        """Return what each node owns."""
        standing = await self.server.log().standing()
        owned = {it.lease.node: set(standing.owned_by(it.lease)) for it in standing.nodes}
        return {str(name): partitions for name, partitions in owned.items()}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """No node yet."""
    world = World()
    yield world
    for node in world.nodes:
        node.log.way = Way.CLOSED
        node.ownership.is_drained.set()
        await node.node.leave()


async def test_the_first_node(world: World) -> None:
    """A node that is alone takes everything once it reads the log; it is told so by the log."""
    a = await world.start("a")
    assert await world.owners() == {"a": set(ALL_PARTITIONS)}
    assert a.ownership.take() == [("began", a.lease), ("owned", "a", set(ALL_PARTITIONS))]
    assert a.ownership.living_now == {a.lease}
    assert a.agreement.told == [("began", a.lease)]


async def test_a_node_comes(world: World) -> None:
    """A node that comes is given its share, and learns at its start who owns what. An owner gives
    only what is drained, and holds it back until then.
    """
    a = await world.start("a")
    a.ownership.is_drained.clear()
    b = await world.start("b")
    assert b.ownership.take() == [("began", b.lease), ("owned", "a", set(ALL_PARTITIONS))]
    assert (a.ownership.held, (await world.owners())["b"]) == (OF_B, set())
    assert a.ownership.drains == 1  # however often the lease was renewed meanwhile
    a.ownership.is_drained.set()
    await turns_until_idle()
    assert await world.owners() == {"a": OF_A, "b": OF_B}
    for node in (a, b):
        assert node.ownership.take()[-1] == ("owned", "b", OF_B)
    assert (a.ownership.held, a.ownership.released, a.entries[-1]) == (set(), set(), Idle())


async def test_a_database_that_does_not_answer(world: World) -> None:
    """An owner waits 2 s for what is not saved, and then gives all the same."""
    a = await world.start("a")
    a.ownership.is_drained.clear()
    await world.start("b")
    await world.passes(2)
    assert await world.owners() == {"a": OF_A, "b": OF_B}


async def test_an_heir_that_goes(world: World) -> None:
    """What could not be given is kept, and held back no more."""
    a = await world.start("a")
    a.ownership.is_drained.clear()
    b = await world.start("b")
    await b.log.leave(b.lease)
    b.log.way = Way.CLOSED
    a.ownership.is_drained.set()
    await turns_until_idle()
    assert (await world.owners(), a.ownership.held) == ({"a": set(ALL_PARTITIONS)}, set())


async def test_giving_without_an_answer(world: World) -> None:
    """A node that does not know what it has given needs another lease."""
    a = await world.start("a")
    a.ownership.is_drained.clear()
    await world.start("b")
    before = a.lease
    a.log.way = Way.ANSWERS_LOST
    a.ownership.is_drained.set()
    await world.passes(1)
    assert (a.holder.lease, a.ownership.take()[-1]) == (None, ("ended",))
    a.log.way = Way.OPEN
    await world.passes(2)
    assert a.lease != before
    assert await world.owners() == {"a": OF_A, "b": OF_B}


async def test_giving_ends_with_the_lease(world: World) -> None:
    """What a node was about to give with a lease that has ended does not cost it the next one."""
    a = await world.start("a")
    a.ownership.is_drained.clear()
    await world.start("b")
    a.holder.fail(LeaseLost("ended"))
    await world.passes(1)
    a.ownership.is_drained.set()
    await world.passes(1)
    assert (a.holder.lost, a.ownership.released) == (1, set())
    owned = await world.owners()
    assert set().union(*owned.values()) == ALL_PARTITIONS


async def test_another_lease(world: World) -> None:
    """What a node has appended is lost with its lease. With the next one it takes at once what it
    owned.
    """
    a = await world.start("a")
    lost: list[str] = []
    a.stream.append(Idle(), None, lambda error: lost.append(str(error)))
    a.holder.fail(LeaseLost("ended"))
    assert lost == ["ended"]
    await world.passes(0.5)
    assert await world.owners() == {"a": set(ALL_PARTITIONS)}


async def test_a_node_dies(world: World) -> None:
    """What a dead node owned is taken by those whose share it becomes."""
    a, b = await world.start("a"), await world.start("b")
    await world.passes(1)
    a.log.way = Way.CLOSED
    await world.passes(5)
    assert await world.owners() == {"b": set(ALL_PARTITIONS)}
    assert b.ownership.take()[-1] == ("owned", "b", OF_A)
    assert a.ownership.take()[-2:] == [("ended",), ("cut off",)]
    assert a.agreement.told[-1] == ("ended",)


async def test_a_node_leaves(world: World) -> None:
    """A node that leaves gives what it owns at once, takes nothing, and ends its lease."""
    a, b = await world.start("a"), await world.start("b")
    await world.passes(1)
    leaving = asyncio.ensure_future(b.node.leave())
    await turns_until_idle()
    assert leaving.done()
    assert await world.owners() == {"a": set(ALL_PARTITIONS)}
    assert a.ownership.take()[-1] == ("owned", "a", OF_B)
    assert b.holder.lease is None
    world.nodes.remove(b)


async def test_a_node_leaves_while_it_gives(world: World) -> None:
    """A node that leaves first sees to the end what it was giving."""
    a = await world.start("a")
    a.ownership.is_drained.clear()
    await world.start("b")
    leaving = asyncio.ensure_future(a.node.leave())
    await turns_until_idle()
    assert not leaving.done()
    a.ownership.is_drained.set()
    await turns_until_idle()
    assert leaving.done()
    assert await world.owners() == {"b": set(ALL_PARTITIONS)}
    assert a.ownership.released == set()  # all of it was given
    world.nodes.remove(a)


async def test_a_node_takes_nothing_while_it_leaves(world: World) -> None:
    """What another node leaves behind meanwhile is nothing to a node that leaves."""
    a, b = await world.start("a"), await world.start("b")
    await world.passes(1)
    a.ownership.is_drained.clear()
    await world.start("c")
    leaving = asyncio.ensure_future(a.node.leave())
    await b.log.leave(b.lease)
    b.log.way = Way.CLOSED
    await world.passes(1)
    assert not leaving.done()
    assert (await world.owners())["a"] == OF_A
    a.ownership.is_drained.set()
    await leaving
    world.nodes.remove(a)


async def test_messages(world: World) -> None:
    """A message is heard once, by the lease that it was said to, and not by the node's next one."""
    a, b = await world.start("a"), await world.start("b")
    await world.passes(1)
    b.ownership.take()
    for payload in (b"1", b"2"):
        await a.log.say(a.lease, b.lease, [payload])
        await turns_until_idle()
    b.ownership.held.clear()
    b.holder.fail(LeaseLost("ended"))
    await a.log.say(a.lease, a.holder.standing.nodes[1].lease, [b"3"])
    await world.passes(2)
    heard = [it[2] for it in b.ownership.take() if it[0] == "heard"]
    assert heard == [b"1", b"2"]
    await a.log.say(a.lease, b.lease, [b"4"])
    await turns_until_idle()
    assert b.ownership.take()[-1] == ("heard", "a", b"4")


async def test_what_nodes_agree_on(world: World) -> None:
    """What the nodes agree on is done in the order of the log, and the consumer gets its entry."""
    a = await world.start("a")
    await a.log.agree(a.lease, [a.lease], NodeFacts("", {"version": "2"}))
    await turns_until_idle()
    assert a.agreement.told[-1] == ("agreed", {"version": "2"})
    assert a.entries == [Idle(), Forgotten(ALICE)]
    assert a.node.applied == a.stream.read_until == await a.log.head()


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (ClusterRefused("other modules"), "other modules"),
        (ZeroDivisionError(), "this node could not take in what the log has"),
    ],
)
async def test_what_a_node_cannot_do(world: World, failure: Exception, why: str) -> None:
    """A node that cannot take in what the log has ends, and says why: it would go on wrongly."""
    a = await world.start("a")
    a.agreement.fails_with = failure
    with capture_logs() as logs:
        await a.log.agree(a.lease, [a.lease], NodeFacts("", {"version": "2"}))
        await turns_until_idle()
    assert a.ended == [why]
    assert [it["event"] for it in logs] == [
        "the log cannot be read any further" for _ in range(not isinstance(failure, ClusterRefused))
    ]


async def test_the_log_is_away(world: World) -> None:
    """A node that cannot read goes on once it can, where it has stopped."""
    a = await world.start("a")
    a.log.way = Way.CLOSED
    await world.passes(1)
    a.log.way = Way.OPEN
    await a.log.agree(a.lease, [a.lease], NodeFacts("", {"version": "2"}))
    await world.passes(1)
    assert (a.entries, a.ended) == ([Idle(), Forgotten(ALICE)], [])


async def test_the_log_loses_its_data(world: World) -> None:
    """A node goes on in the new log, where it begins; it hears messages, whose IDs begin anew."""
    a = await world.start("a")
    await a.log.say(a.lease, a.lease, [b"1", b"2"])
    await turns_until_idle()
    a.ownership.take()
    world.server.lose_data()
    await world.passes(3)
    assert (a.ended, await world.owners()) == ([], {"a": set(ALL_PARTITIONS)})
    assert [it[0] for it in a.ownership.take()] == [
        "ended",
        "log lost",
        "catches up",
        "began",
        "owned",
    ]
    await a.log.say(a.lease, a.lease, [b"3"])
    await turns_until_idle()
    assert a.ownership.take() == [("heard", "a", b"3")]


async def test_only_a_start_can_catch_up(world: World) -> None:
    """A node that cannot find out any more what the log has lost ends, and gets no lease."""
    a = await world.start("a")
    a.ownership.refusal = ClusterRefused("too long ago")
    world.server.lose_data()
    await world.passes(2)
    assert (set(a.ended), a.holder.lease) == ({"too long ago"}, None)


async def test_another_begins_the_new_log(world: World) -> None:
    """A node that finds other data in the log, which another node has begun, goes on there."""
    a = await world.start("a")
    world.server.lose_data()
    await world.server.log().join(NodeName("c"), NodeFacts("c", {}), BEGINNING)
    await world.passes(6)
    assert (a.ended, await world.owners()) == ([], {"a": set(ALL_PARTITIONS)})


async def test_an_older_copy(world: World) -> None:
    """A node that has read what the log has lost has missed nothing, and goes on."""
    a = await world.start("a")
    restore = world.server.backup()
    a.stream.append(Idle())
    await world.passes(1)
    restore()
    await world.passes(6)
    assert (a.ended, await world.owners()) == ([], {"a": set(ALL_PARTITIONS)})


async def test_reading_without_a_lease(world: World) -> None:
    """A node that has lost its lease reads on: it is not behind when it gets the next one."""
    a = await world.start("a")
    log = world.server.log()
    other = await log.join(NodeName("c"), NodeFacts("c", {}), BEGINNING)
    a.holder.fail(LeaseLost("ended"))
    for version in "23":
        await log.agree(
            other, [a.holder.standing.nodes[0].lease, other], NodeFacts("", {"version": version})
        )
        await turns_until_idle()
        assert a.agreement.told[-1] == ("agreed", {"version": version})


async def test_a_node_that_has_missed_a_part() -> None:
    """A node that has not read what the log has deleted must be started again."""
    world = World()
    world.server = LogServer(world.clock, kept=timedelta(seconds=2))
    a = await world.start("a")
    b = await world.start("b")
    await world.passes(1)
    b.log.way = Way.CLOSED
    for _ in range(6):
        await world.passes(1)
        a.stream.append(Idle())
    await turns_until_idle()
    b.log.way = Way.OPEN
    await world.passes(2)
    assert b.ended[0].startswith("this node has missed a part of the log")
    assert a.ended == []
    for node in (a, b):
        await node.node.leave()


async def test_a_lease_that_ends_before_the_start(world: World) -> None:
    """A node whose first lease has ended before it reads begins with its next one."""
    node = Node(world.server, world.clock, "a")
    world.nodes.append(node)
    await node.holder.join(BEGINNING)
    node.holder.fail(LeaseLost("ended"))
    node.start()
    await world.passes(2)
    assert await world.owners() == {"a": set(ALL_PARTITIONS)}

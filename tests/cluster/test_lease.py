"""The lease of a node: how it is got, renewed, lost and got again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.clock import Clock, Timestamp, after, sleep
from lamplighter.cluster.lease import OUT, RENEWED_EVERY, LeaseHolder
from lamplighter.cluster.log import LEASE, ClusterStanding, Lease, NodeFacts, NodeName
from lamplighter.cluster.positions import BEGINNING, at_time
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.errors import (
    ClusterRefused,
    ClusterUnavailable,
    LeaseLost,
    LogUnreachable,
    NodeNameInUse,
)
from lamplighter.ids import StreamPosition
from tests.cluster.memory_log import LogServer, MemoryLog, Way

ALIKE = {"version": "1"}


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.applied = BEGINNING
        self.told: list[tuple[str, object]] = []
        self.fails_with: Exception | None = None
        #: For how long it is busy with what it is told, if that takes time.
        self.takes = timedelta(0)
        self.clock: Clock = FakeClock()

    def began(self, lease: Lease) -> None:
        self.told.append(("began", lease))

    async def log_lost(self, standing: ClusterStanding) -> None:
        self.told.append(("log lost", standing.birth))
        await self._is_busy()
        if self.fails_with is not None:
            raise self.fails_with

    def ended(self, error: ClusterUnavailable) -> None:
        self.told.append(("ended", str(error)))

    def cut_off(self, error: ClusterUnavailable) -> None:
        self.told.append(("cut off", str(error)))

    def refused(self, error: ClusterRefused) -> None:
        self.told.append(("refused", str(error)))

    async def renewed(self, lease: Lease, standing: ClusterStanding) -> None:
        self.told.append(("renewed", lease))
        await self._is_busy()
        if self.fails_with is not None:
            raise self.fails_with

    async def _is_busy(self) -> None:
        if self.takes:
            await sleep(self.clock, self.takes)

    def take(self) -> list[tuple[str, object]]:
        """Return what it was told since the last time, without the renewals."""
        told, self.told = self.told, []
        return [it for it in told if it[0] != "renewed"]


class World:
    """One node, and the server of the log."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.server = LogServer(self.clock)
        self.log = self.server.log()
        self.listener = Listener()
        self.listener.clock = self.clock
        self.times: list[Timestamp] = []
        self.holder = self.node(self.log)

    def node(self, log: MemoryLog, name: str = "a") -> LeaseHolder:
        """Return a holder of leases for a node."""
        facts = NodeFacts("here", ALIKE)
        return LeaseHolder(NodeName(name), facts, self.clock, log, self.times.append)

    async def join(self) -> Lease:
        """Join; return the first lease."""
        await self.holder.join(BEGINNING)
        self.holder.tell(self.listener)
        assert self.holder.lease is not None
        return self.holder.lease

    async def passes(self, duration: timedelta) -> None:
        """Let time pass, as long as a renewal takes at a time."""
        end = after(self.clock.now(), duration)
        while self.clock.now() < end:
            await turns_until_idle()
            self.clock.advance_to(min(end, after(self.clock.now(), RENEWED_EVERY)))
        await turns_until_idle()

    async def living(self) -> list[Lease]:
        """Return the leases that live."""
        return [it.lease for it in (await self.server.log().standing()).nodes]


@dataclass
class Other:
    """Another node, which agrees with itself on what it likes."""

    world: World
    log: MemoryLog
    lease: Lease

    @classmethod
    async def joined(cls, world: World) -> "Other":
        """Return a node that has joined."""
        log = world.server.log()
        lease = await log.join(NodeName("b"), NodeFacts("there", ALIKE), BEGINNING)
        return cls(world, log, lease)

    async def agrees(self, facts: Mapping[str, str], lease: Lease) -> None:
        """Have *facts* be those of all, the node with *lease* included, which does not know."""
        assert await self.log.agree(self.lease, {self.lease, lease}, NodeFacts("", facts))

    async def lives(self, seconds: int) -> list[str]:
        """Let time pass; return the errors that are in the log of the process."""
        with capture_logs() as logs:
            for _ in range(seconds):
                await self.world.passes(timedelta(seconds=1))
                await self.log.renew(self.lease, BEGINNING)
        return [it["problem"] for it in logs if it["log_level"] == "error"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A node that has not joined."""
    world = World()
    yield world
    world.log.way = Way.OPEN
    await world.holder.end()


async def test_a_lease_is_kept(world: World) -> None:
    """A lease is renewed again and again; the node says how far it has read, first that it is not
    ready, and learns what time it is for the log.
    """
    await world.log.join(NodeName("other"), NodeFacts("there", ALIKE), BEGINNING)
    world.server.set_clock_back(timedelta(hours=1))
    lease = await world.join()
    assert world.listener.take() == [("began", lease)]
    assert (world.holder.is_certain, world.holder.standing.nodes[0].applied) == (True, BEGINNING)
    world.listener.applied = world.holder.standing.head
    await world.passes(LEASE * 3)
    assert (world.holder.lease, world.holder.lost) == (lease, 0)
    [node] = world.holder.standing.nodes
    assert (node.lease, node.applied) == (lease, world.listener.applied)
    assert world.times[-1] == world.server.now()
    assert world.listener.told == [("renewed", lease)] * 24


async def test_no_answer(world: World) -> None:
    """The log says once why renewals are not answered, and once more when that begins again."""
    await world.join()
    with capture_logs() as logs:
        for _ in range(2):
            world.log.way = Way.CLOSED
            await world.passes(RENEWED_EVERY * 3)
            world.log.way = Way.OPEN
            await world.passes(RENEWED_EVERY)
    said = [it["problem"] for it in logs if it["log_level"] == "warning"]
    assert said == ["nobody is where the log should be"] * 2


async def test_an_answer_that_comes_late(world: World) -> None:
    """A renewal that is answered late does not say what time it is; the next one does."""
    await world.join()
    await turns_until_idle()
    before = list(world.times)
    world.log.way = Way.ANSWERS_LOST
    world.clock.advance(seconds=RENEWED_EVERY.total_seconds())
    await turns_until_idle()
    world.clock.advance(milliseconds=400)
    world.log.way = Way.OPEN
    await turns_until_idle()
    assert world.times == before
    await world.passes(RENEWED_EVERY)
    assert world.times == [*before, world.server.now()]


async def test_a_node_that_is_busy_with_a_renewal(world: World) -> None:
    """A node is out once its time has passed, whatever it still waits for."""
    lease = await world.join()
    world.listener.takes = OUT * 2
    await world.passes(RENEWED_EVERY + OUT - timedelta(milliseconds=1))
    assert world.listener.take() == [("began", lease)]
    await world.passes(timedelta(milliseconds=1))
    assert [it[0] for it in world.listener.take()] == ["ended", "cut off"]


async def test_going_on_takes_longer_than_a_lease(world: World) -> None:
    """A node that needs longer than a lease lasts until it can go on in a log that has lost its
    data gets another lease at once, and begins with that one only.
    """
    await world.join()
    await turns_until_idle()
    world.listener.take()
    world.server.lose_data()
    world.listener.takes = LEASE + RENEWED_EVERY
    await world.passes(RENEWED_EVERY * 3)
    world.listener.takes = timedelta(0)
    await world.passes(LEASE * 2)
    assert [it[0] for it in world.listener.take() if it[0] != "cut off"] == [
        "ended", "log lost", "began",
    ]  # fmt: skip
    assert world.holder.lost == 1


async def test_positions_after_the_floor(world: World) -> None:
    """Where the log is new, it begins above what the database has."""
    floor = StreamPosition(at_time(after(world.clock.now(), timedelta(days=1))))
    await world.holder.join(floor)
    assert world.holder.standing.head > floor
    assert [it.applied for it in world.holder.standing.nodes] == [BEGINNING]  # it reads nothing yet


async def test_before_a_node_has_joined(world: World) -> None:
    """There is no standing before the first join, and no lease."""
    with pytest.raises(RuntimeError):
        _ = world.holder.standing
    assert (world.holder.lease, world.holder.is_certain) == (None, False)
    await world.holder.end()


async def test_a_name_in_use(world: World) -> None:
    """A node waits once for the lease that it may have had before it was killed. If it still lives
    then, it is another node's.
    """
    await world.server.log().join(NodeName("a"), NodeFacts("here", ALIKE), BEGINNING)
    joining = asyncio.ensure_future(world.join())
    await world.passes(LEASE)
    assert not joining.done()
    await world.passes(RENEWED_EVERY)
    lease = await joining
    assert await world.living() == [lease]
    again = asyncio.ensure_future(world.node(world.server.log()).join(BEGINNING))
    await world.passes(LEASE + RENEWED_EVERY)
    with pytest.raises(NodeNameInUse):
        await again


async def test_a_failure(world: World) -> None:
    """A node that gives its lease up owns nothing at once, and has another lease soon. What it had
    is left to nobody: the log knows that it is over.
    """
    first = await world.join()
    world.listener.take()
    world.holder.fail(LogUnreachable("no answer"))
    world.holder.fail(LogUnreachable("another failure of the same lease"))
    assert (world.holder.lease, world.holder.lost) == (None, 1)
    assert world.listener.take() == [("ended", "no answer")]
    assert not world.holder.is_certain
    await world.passes(RENEWED_EVERY)
    second = world.holder.lease
    assert second is not None
    assert second.epoch > first.epoch
    assert world.listener.take() == [("began", second)]
    assert await world.living() == [second]


async def test_a_failure_while_it_is_renewed(world: World) -> None:
    """A renewal that is answered after the lease was given up brings it not back."""
    first = await world.join()
    await turns_until_idle()  # until the node waits for its first renewal
    world.log.way = Way.ANSWERS_LOST
    world.clock.advance_to(after(world.clock.now(), RENEWED_EVERY))
    await turns_until_idle()
    world.holder.fail(LogUnreachable("no answer"))
    world.listener.take()
    world.log.way = Way.OPEN
    await turns_until_idle()
    assert (world.holder.lease, world.listener.told) == (None, [])
    await world.passes(RENEWED_EVERY)
    assert world.holder.lease not in (None, first)


async def test_cut_off(world: World) -> None:
    """A node that does not reach the log has its lease for as long as the log may not have ended
    it. Then it is out, and says so once. When it reaches the log it begins again.
    """
    first = await world.join()
    world.listener.take()
    world.log.way = Way.CLOSED
    await world.passes(OUT - RENEWED_EVERY)
    assert (world.holder.lease, world.listener.take()) == (first, [])
    await world.passes(LEASE)
    out = "this node has not reached the log for too long"
    assert world.listener.take() == [("ended", out), ("cut off", out)]
    assert (world.holder.lease, world.holder.lost) == (None, 1)
    world.log.way = Way.OPEN
    await world.passes(RENEWED_EVERY)
    assert world.listener.take() == [("began", world.holder.lease)]
    world.log.way = Way.CLOSED
    await world.passes(LEASE)
    assert world.listener.take() == [("ended", out), ("cut off", out)]


async def test_a_process_that_stood_still(world: World) -> None:
    """A node that stood still does not know whether its lease lives before it has asked the log."""
    await world.join()
    world.clock.advance(seconds=2.999)
    assert world.holder.is_certain
    world.clock.advance(milliseconds=1)
    assert not world.holder.is_certain


async def test_a_lease_that_has_ended(world: World) -> None:
    """A node that learns from the log that its lease has ended gets another one."""
    first = await world.join()
    world.listener.take()
    await world.log.leave(first)
    await world.passes(RENEWED_EVERY * 2)
    [ended, began] = world.listener.take()
    assert ended == ("ended", "the lease of a has ended")
    assert began == ("began", world.holder.lease)


async def test_the_log_loses_its_data(world: World) -> None:
    """A node that joins a log with other data is told so before it begins, and only then."""
    await world.join()
    birth = world.holder.standing.birth
    world.listener.take()
    world.server.lose_data()
    await world.passes(RENEWED_EVERY * 2)
    standing = world.holder.standing
    assert standing.birth != birth
    [_, lost, began] = world.listener.take()
    assert (lost, began) == (("log lost", standing.birth), ("began", world.holder.lease))


@pytest.mark.parametrize("failure", [ClusterUnavailable("later"), ValueError("no news")])
async def test_a_node_cannot_go_on_after_the_loss(world: World, failure: Exception) -> None:
    """A node that cannot go on in a log that has lost its data, whatever the reason, tries again
    with the next renewal: it has left the lease that it does not keep.
    """
    await world.join()
    world.listener.fails_with = failure
    world.server.lose_data()
    await world.passes(RENEWED_EVERY * 3)
    assert world.holder.lease is None
    world.listener.fails_with = None
    await world.passes(RENEWED_EVERY)
    assert [world.holder.lease] == await world.living()


async def test_nodes_that_differ(world: World) -> None:
    """A node that the others refuse because it differs tries on: it may have yet to read what all
    have agreed on. After 10 s it gives up.
    """
    lease = await world.join()
    other = await Other.joined(world)
    await other.agrees({"version": "2"}, lease)
    world.listener.take()
    world.holder.fail(LeaseLost("ended"))
    assert await other.lives(9) == ["version: 1 at this node, 2 at node b"]
    world.holder.agreed(NodeFacts("here", {"version": "2"}))
    assert await other.lives(1) == []
    assert world.holder.lease is not None
    lease = world.holder.lease
    assert world.listener.take()[-1] == ("began", lease)
    await other.agrees({"version": "3"}, lease)
    world.holder.fail(LeaseLost("ended"))
    assert await other.lives(12) == ["version: 2 at this node, 3 at node b"]
    assert world.listener.take()[-1] == ("refused", "version: 2 at this node, 3 at node b")
    await other.log.leave(other.lease)
    await world.passes(timedelta(seconds=5))
    assert world.holder.lease is None


async def test_another_refusal(world: World) -> None:
    """A node whose name another has taken meanwhile goes on to try."""
    first = await world.join()
    await world.log.leave(first)
    other = world.server.log()
    lease = await other.join(NodeName("a"), NodeFacts("there", ALIKE), BEGINNING)
    with capture_logs() as logs:
        await world.passes(timedelta(seconds=2))
    assert {it["problem"] for it in logs if it["log_level"] == "error"} == {
        "a living node has the name a"
    }
    assert await world.living() == [lease]
    await world.passes(LEASE)
    assert await world.living() == [world.holder.lease]


async def test_a_listener_that_fails(world: World) -> None:
    """Whatever fails after a renewal, the lease is kept."""
    lease = await world.join()
    world.listener.fails_with = ZeroDivisionError()
    with capture_logs() as logs:
        await world.passes(LEASE * 2)
    assert {it["event"] for it in logs} == {"a renewal failed"}
    assert world.holder.lease == lease


async def test_the_end(world: World) -> None:
    """A node that stops ends its lease in the log, and joins no more; also one that is cut off."""
    lease = await world.join()
    world.listener.take()
    await world.holder.end()
    assert world.listener.take() == [("ended", "this node stops")]
    assert (world.holder.lease, await world.living()) == (None, [])
    await world.passes(LEASE)
    assert await world.living() == []
    other = world.node(world.log, "b")
    await other.join(BEGINNING)
    world.log.way = Way.CLOSED
    await other.end()
    assert (lease.node, other.lease) == ("a", None)

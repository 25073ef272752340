"""What an operator sees of a cluster at one of its nodes."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.cluster.lease import LeaseHolder
from lamplighter.cluster.log import PARTITIONS, NodeFacts, NodeName
from lamplighter.cluster.positions import BEGINNING
from lamplighter.cluster.shared import SharedStream
from lamplighter.metrics import ClusterReadings
from lamplighter.service.cluster_view import ClusterView
from tests.cluster.memory_log import Way
from tests.routing.people import ALICE, BOB
from tests.service.nodes import Cluster


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """Node a, which owns everything."""
    cluster = Cluster(ALICE, BOB)
    await cluster.start("a")
    await cluster.passes(1)
    yield cluster
    await cluster.stop()


async def test_what_the_cluster_is_like(cluster: Cluster) -> None:
    """Each node tells the same of all nodes."""
    b = await cluster.start("b")
    await cluster.passes(3)
    a = cluster.nodes["a"]
    owned = {str(it.name): it.partitions for it in a.view.condition().nodes}
    assert owned.keys() == {"a", "b"}
    assert sum(owned.values()) == PARTITIONS
    assert a.view.condition().problems == []
    assert a.view.condition() == b.view.condition()


async def test_what_is_counted(cluster: Cluster) -> None:
    """The readings say what a node owns, has told, has read, and has said to others."""
    b = await cluster.start("b")
    await cluster.passes(3)
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    before = other.view.readings()
    other.set(BOB, "hello")
    waiting = other.view.readings()
    assert waiting.events_waiting == 1
    await cluster.passes(1)
    after = other.view.readings()
    assert after == ClusterReadings(
        nodes=2,
        partitions=len(other.owners.users.partitions),
        unowned=0,
        lag_seconds=0,
        leases=1,
        leases_lost=0,
        records_told=before.records_told,
        records_read=before.records_read + 1,
        events_said=before.events_said + 1,
        events_waiting=0,
    )
    assert owner.view.readings().records_told > 0
    assert b.owners.users.partitions


async def test_a_node_that_is_cut_off(cluster: Cluster) -> None:
    """A node without a lease is not ready, and says that it knows nothing new."""
    a = cluster.nodes["a"]
    assert a.view.problem() is None
    a.log.way = Way.CLOSED
    await cluster.passes(4)
    assert a.view.problem() == "no lease"
    condition = a.view.condition()
    assert condition.is_old
    assert condition.problems == ["node a, which tells this, has no lease: what it tells is old"]
    readings = a.view.readings()
    assert (readings.leases, readings.leases_lost, readings.partitions) == (0, 1, 0)
    a.log.way = Way.OPEN
    await cluster.passes(2)
    assert (a.view.problem(), a.view.readings().leases) == (None, 1)
    assert not a.view.condition().is_old


async def test_a_node_that_reads_too_little(cluster: Cluster) -> None:
    """A node is ready once it has read what the others told while it started; and no longer where
    it falls behind.
    """
    log = cluster.server.log()
    holder = LeaseHolder(NodeName("b"), NodeFacts("b", {}), cluster.clock, log, lambda _now: None)
    await holder.join(BEGINNING)
    stream = SharedStream(cluster.clock, log, holder.standing.head, holder.fail)
    stream.hand_to(lambda _position, _entry: None)
    owners = cluster.nodes["a"].owners
    view = ClusterView(NodeName("b"), cluster.clock, holder, stream, owners)
    cluster.nodes["a"].set(ALICE, "hello")
    await cluster.passes(1)
    assert view.problem() == "catching up"
    stream.pass_by(holder.standing.head)
    assert view.problem() is None
    cluster.nodes["a"].set(ALICE, "hello again")
    await cluster.passes(1)
    assert view.problem() is None
    await cluster.passes(2)
    assert view.problem() == "catching up"
    assert view.readings().lag_seconds == 2.5
    await holder.end()

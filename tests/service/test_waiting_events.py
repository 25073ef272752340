"""Events that wait for their owners are said in the order in which they came."""

from collections.abc import AsyncIterator

import pytest

from lamplighter.cluster.log import Lease, NodeName
from lamplighter.cluster.partitions import ALL_PARTITIONS
from lamplighter.cluster.wire import EventTaken, Outcome
from lamplighter.presence.events import StatusSet
from lamplighter.presence.state import Presence
from tests.routing.people import ALICE, BOB
from tests.service.nodes import Cluster
from tests.service.parts import PHONE


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A cluster of two nodes, each of which owns its share."""
    cluster = Cluster(ALICE, BOB)
    for name in ("a", "b"):
        await cluster.start(name)
    await cluster.passes(3)
    yield cluster
    await cluster.stop()


async def test_what_is_sent_back_is_said_first(cluster: Cluster) -> None:
    """An owner sends an event back, and goes on: a later event of the user is decided later."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    owner.owners.hold(ALL_PARTITIONS)
    first = other.set(BOB, "first")
    await cluster.passes(0)
    owner.owners.release(ALL_PARTITIONS)
    second = other.set(BOB, "second")
    await cluster.passes(2)
    assert [first.exception(), second.exception()] == [None, None]
    assert [it.knows(BOB) for it in (owner, other)] == [("online", "second")] * 2


async def test_a_later_one_was_taken_in(cluster: Cluster) -> None:
    """If an owner sends one event back, and takes in the next, the next is said again, too."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    waiting, lease = other.owners.waiting, owner.holder.lease
    assert lease is not None
    events = [StatusSet(BOB, PHONE, Presence.ONLINE, message) for message in ("first", "second")]
    answered = [waiting.wait(event, lease) for event in events]
    waiting.answer(lease, EventTaken(0, Outcome.ELSEWHERE))
    waiting.answer(lease, EventTaken(1, Outcome.DONE))
    assert [it.done() for it in answered] == [False, False]
    await cluster.passes(2)
    assert [it.done() for it in answered] == [True, True]
    assert owner.knows(BOB) == ("online", "second")


async def test_a_former_owner_answers_late(cluster: Cluster) -> None:
    """What a former owner sends back is not said once more to the next owner, who has heard it."""
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    waiting, lease = other.owners.waiting, owner.holder.lease
    former = Lease(NodeName("former"), 1)
    waiting.wait(StatusSet(BOB, PHONE, Presence.ONLINE, "x"), former)
    waiting.move(ALL_PARTITIONS, lease)
    waiting.answer(former, EventTaken(0, Outcome.ELSEWHERE))
    assert waiting.leases() == {lease}
    await cluster.passes(2)
    assert waiting.said == 2

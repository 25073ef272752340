"""The servers to which a node begins, and ceases, to send."""

from datetime import timedelta
from typing import Final

import pytest

from lamplighter.app.federation import Nowhere
from lamplighter.cluster.log import PartitionId
from lamplighter.cluster.partitions import ALL_PARTITIONS, partition_of
from lamplighter.service.destinations import Destinations
from tests.routing.callbacks import Thinking, turns
from tests.routing.people import ALICE, BOB, DORA
from tests.service.parts import Parts

THERE: Final = "elsewhere.org"
ITS_PARTITION: Final = frozenset({partition_of(THERE)})


async def to_dora(states: object) -> object:
    """Send everything to dora, who is at another server."""
    assert isinstance(states, list)
    return {DORA: set(states)}


def destinations(parts: Parts) -> Destinations:
    """Return the destinations of a node, which owns none yet."""
    return Destinations(
        parts.clock,
        parts.stream,
        parts.router,
        parts.roster,
        parts.remotes,
        parts.background,
        timedelta(minutes=30),
    )


@pytest.fixture
async def parts() -> Parts:
    """A node where everything goes to dora's server, and nothing has arrived yet."""
    parts = Parts()
    parts.module(to_dora)
    await parts.publish(ALICE, "long ago")
    parts.clock.advance(minutes=31)
    await parts.publish(BOB, "one")
    await parts.publish(BOB, "two")
    await parts.publish(DORA, "not ours")
    del parts.outgoing.sent[:]
    return parts


async def test_what_it_may_have_missed(parts: Parts) -> None:
    """A server with a new sender is sent our users as they are of whom it was told lately."""
    destinations(parts).take(ITS_PARTITION)
    await turns()
    assert parts.outgoing.messages == [(THERE, {BOB: "two"})]


async def test_a_server_of_another_node(parts: Parts) -> None:
    """A server to which another node sends is sent nothing."""
    destinations(parts).take(ALL_PARTITIONS - ITS_PARTITION)
    await turns()
    assert parts.outgoing.messages == []


async def test_many_records(parts: Parts) -> None:
    """However many records say what a node owns now, the modules are asked about each user once for
    all that come at once, and once for all that come meanwhile; not for what is given away again.
    """
    slow, taker = Thinking(), destinations(parts)
    parts.module(slow, name="Slow")
    for partition in sorted(ALL_PARTITIONS - ITS_PARTITION)[:20]:
        taker.take(frozenset({partition}))
    await turns()
    for partition in sorted(ALL_PARTITIONS)[20:]:
        taker.take(frozenset({partition}) | ITS_PARTITION)
    await turns()
    assert (len(slow.asked), parts.outgoing.messages) == (1, [])
    slow.answer({})
    await turns()
    assert len(slow.asked) == 2
    taker.take(frozenset({PartitionId(3)}))
    taker.hand_over(frozenset({PartitionId(3)}))
    slow.answer({})
    await turns()
    assert (len(slow.asked), parts.outgoing.messages) == (2, [(THERE, {BOB: "two"})])


async def test_a_change_meanwhile(parts: Parts) -> None:
    """A user who changes while modules think is not sent as the user was before."""
    slow = Thinking()
    parts.module(slow, name="Slow")
    destinations(parts).take(ITS_PARTITION)
    await turns()
    parts.publisher.publish(parts.set(BOB, "three"))
    await turns()
    [before, now] = slow.asked
    slow.answer({})
    slow.answer({})
    await turns()
    assert [it.status_msg for it in (*before, *now)] == ["two", "three"]
    assert [it for _, it in parts.outgoing.messages if it.get(BOB) != "three"] == []
    assert parts.outgoing.messages != []


async def test_no_way(parts: Parts) -> None:
    """A node that speaks to no other server asks the modules nothing."""
    asked = Thinking()
    parts.module(asked, name="Asked")
    parts.remotes.outgoing = Nowhere()
    destinations(parts).take(ITS_PARTITION)
    await turns()
    assert asked.asked == []


async def test_what_another_node_sends(parts: Parts) -> None:
    """What waits for a server is forgotten once another node sends to it."""
    mine = destinations(parts)
    mine.take(ITS_PARTITION)
    await turns()
    mine.hand_over(ALL_PARTITIONS - ITS_PARTITION)
    assert parts.outgoing.messages == [(THERE, {BOB: "two"})]
    mine.hand_over(ITS_PARTITION)
    assert parts.outgoing.messages == []

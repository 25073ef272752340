"""Events that wait for their owners: in which order they are said, how many, and for how long."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from lamplighter.cluster.log import Lease, NodeName
from lamplighter.cluster.partitions import ALL_PARTITIONS, partition_of
from lamplighter.cluster.wire import EventSaid, EventTaken, NodeMessage, Outcome
from lamplighter.errors import ClusterUnavailable, StorageUnavailable
from lamplighter.ids import UserId
from lamplighter.ports import Requester
from lamplighter.presence.events import StatusSet, SyncEnded, Syncing
from lamplighter.presence.state import Presence
from lamplighter.service.node_messages import NodeMessages
from lamplighter.service.waiting_events import MOST_WAITED_FOR, MOST_WAITING, WaitingEvents
from tests.cluster.memory_log import LogServer, Way
from tests.routing.people import ALICE, BOB, CHARLIE
from tests.service.nodes import Cluster
from tests.service.parts import PHONE, Parts

#: Who owns everybody, as far as the node knows.
OWNER = Lease(NodeName("owner"), 9)


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


async def test_a_former_owner_took_in_the_later_one(cluster: Cluster) -> None:
    """A former owner sends the beginning of a poll back, and takes its end in; the next owner sends
    both back. Both are said again: the device does not poll for ever.
    """
    owner = cluster.owner_of(BOB)
    other = cluster.other_than(owner)
    waiting, lease = other.owners.waiting, owner.holder.lease
    assert lease is not None
    former = Lease(NodeName("former"), 1)
    for event in (Syncing(BOB, PHONE, Presence.ONLINE), SyncEnded(BOB, PHONE)):
        waiting.wait(event, former)
    waiting.move(ALL_PARTITIONS, lease)
    for by, outcomes in (
        (former, (Outcome.ELSEWHERE, Outcome.DONE)),
        (lease, (Outcome.ELSEWHERE, Outcome.ELSEWHERE)),
    ):
        for number, outcome in enumerate(outcomes):
            waiting.answer(by, EventTaken(number, outcome))
    await cluster.passes(2)
    device = owner.core.tracker.device(BOB, PHONE)
    assert (len(waiting), device is not None and device.is_polling) == (0, False)


@dataclass(eq=False)
class Sent(NodeMessages):
    """Writes down what is sent, and to whom."""

    sent: list[tuple[Lease, int]] = field(default_factory=list)

    def send(self, to: Lease, message: NodeMessage) -> None:
        assert isinstance(message, EventSaid)
        self.sent.append((to, message.number))

    def take(self) -> list[tuple[Lease, int]]:
        """Return what was sent since the last time."""
        sent, self.sent = self.sent, []
        return sent


class World:
    """The events of one node."""

    def __init__(self) -> None:
        parts = Parts()
        self.clock = parts.clock
        self.messages = Sent(LogServer(self.clock).log(), parts.background)
        self.events = WaitingEvents(self.clock, parts.connections, self.messages)

    def wait(self, owner: Lease | None = OWNER, user_id: UserId = BOB) -> "asyncio.Future[None]":
        """Let a command of a user wait for an owner."""
        return self.events.wait(StatusSet(user_id, PHONE, Presence.ONLINE, "x"), owner)


@pytest.fixture
async def world() -> World:
    """A node on which nothing waits."""
    return World()


async def test_too_many(world: World) -> None:
    """If too many events wait, a command fails at once, and what polls say waits, too."""
    waiting = [world.wait(user_id=UserId(f"@user{it}:demo")) for it in range(MOST_WAITING)]
    refused = world.wait()
    polls = (
        world.events.wait(Syncing(BOB, PHONE, Presence.ONLINE), OWNER),
        world.events.wait(SyncEnded(BOB, PHONE), OWNER),
    )
    assert isinstance(refused.exception(), ClusterUnavailable)
    assert [it.done() for it in polls] == [False, False]
    assert len(world.events) == MOST_WAITING + 2
    for number in range(3):
        world.events.answer(OWNER, EventTaken(number, Outcome.DONE))
    assert [it.done() for it in waiting[:4]] == [True, True, True, False]
    assert not world.wait().done()


async def test_too_long(world: World) -> None:
    """An event fails once its owner has not answered for `MOST_WAITED_FOR`; later ones wait on."""
    first = world.wait()
    world.clock.advance(seconds=1)
    second = world.wait(None)
    world.clock.advance(seconds=3.5)
    assert not first.done()
    world.clock.advance(seconds=0.5)
    assert str(first.exception()) == "no owner answers for @bob:demo"
    assert not second.done()
    world.events.answer(OWNER, EventTaken(0, Outcome.DONE))
    world.clock.advance(seconds=1)
    assert isinstance(second.exception(), ClusterUnavailable)
    assert len(world.events) == 0
    assert timedelta(seconds=5) == MOST_WAITED_FOR


async def test_clients_that_come_and_go(cluster: Cluster) -> None:
    """While no owner answers, what waits is what the polls of each device have come to say, and not
    each time that a client has tried: an hour would fill the memory.
    """
    node = cluster.owner_of(BOB)
    connections, waiting = node.core.connections, []
    cluster.server.way = Way.CLOSED
    for _ in range(8):
        polls = connections.begin(Requester(BOB, PHONE), Presence.ONLINE)
        connections.end(polls, node.clock.now())
        await cluster.passes(8)
        waiting.append(len(node.owners.waiting))
    assert waiting[1:] == [1] * 7


async def test_nobody_waits_for_an_event(world: World) -> None:
    """An event that nobody waits for any more costs nothing when it ends, however it ends."""
    for outcome in (Outcome.DONE, Outcome.UNSAVED, None):
        gone = world.wait()
        gone.cancel()
        if outcome is None:
            world.clock.advance(seconds=6)
        else:
            [(_, number)] = world.messages.take()
            world.events.answer(OWNER, EventTaken(number, outcome))
        assert (gone.cancelled(), len(world.events)) == (True, 0)


async def test_outcomes(world: World) -> None:
    """Whoever waits learns what the owner answers; an answer to nothing is nothing."""
    done, unsaved, elsewhere = [world.wait() for _ in range(3)]
    outcomes = (Outcome.DONE, Outcome.UNSAVED, Outcome.ELSEWHERE, Outcome.DONE)
    for number, outcome in enumerate(outcomes):
        world.events.answer(OWNER, EventTaken(number, outcome))
    assert (done.done(), done.exception()) == (True, None)
    assert isinstance(unsaved.exception(), StorageUnavailable)
    assert not elsewhere.done()


async def test_to_whom_it_is_said_again(world: World) -> None:
    """At a renewal, what was said to a dead node, or to nobody, is said to who owns the user now;
    what a living owner has heard is not. It stays with nobody while there is no owner.
    """
    dead, alive = Lease(NodeName("dead"), 1), Lease(NodeName("alive"), 2)
    for owner, user_id in ((dead, ALICE), (alive, BOB), (None, CHARLIE)):
        world.wait(owner, user_id)
    assert world.messages.take() == [(dead, 0), (alive, 1)]
    assert (world.events.leases(), world.events.said) == ({dead, alive}, 2)
    world.events.say_again({dead}, lambda _partition: None)
    assert world.messages.take() == []
    world.events.say_again({dead}, lambda _partition: OWNER)
    world.events.say_again({dead}, lambda _partition: OWNER)
    assert world.messages.take() == [(OWNER, 0), (OWNER, 2)]
    world.messages.unheard(OWNER)
    world.events.say_again(set(), lambda _partition: alive)
    assert world.messages.take() == [(alive, 0), (alive, 2)]
    world.events.unsay()
    assert world.events.leases() == set()
    world.events.say_again(set(), lambda _partition: OWNER)
    assert world.messages.take() == [(OWNER, 0), (OWNER, 1), (OWNER, 2)]


async def test_the_order_of_one_user(world: World) -> None:
    """Events of one user are said in their order: one that comes while an earlier one is unsaid
    waits behind it, also where a later one had another owner.
    """
    first, second = Lease(NodeName("first"), 1), Lease(NodeName("second"), 2)
    for owner in (None, OWNER):
        world.wait(owner)
    assert world.messages.take() == []
    world.events.say_again(set(), lambda _partition: first)
    assert world.messages.take() == [(first, 0), (first, 1)]
    world.wait(second)
    assert world.messages.take() == [(second, 2)]
    world.messages.unheard(first)
    world.wait(second)
    assert (world.messages.take(), world.events.leases()) == ([], set())
    world.events.say_again(set(), lambda _partition: second)
    assert world.messages.take() == [(second, number) for number in range(4)]


async def test_another_owner(world: World) -> None:
    """What waits for a partition is said to its next owner at once, whoever has heard it before;
    what the node itself owns from now on waits no more.
    """
    next_one = Lease(NodeName("next"), 1)
    waiting = [world.wait(user_id=it) for it in (ALICE, BOB, CHARLIE)]
    of_bob = {partition_of(BOB)}
    world.messages.take()
    world.events.move(of_bob, None)
    assert world.messages.take() == []
    world.events.move(of_bob, next_one)
    assert world.messages.take() == [(next_one, 1)]
    [taken] = world.events.take(of_bob)
    assert (taken.event.user_id, taken.answered) == (BOB, waiting[1])
    assert len(world.events) == 2
    world.events.answer(next_one, EventTaken(1, Outcome.DONE))
    assert not waiting[1].done()

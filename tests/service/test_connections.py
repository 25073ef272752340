"""Which devices poll, and what of it the state machine is told."""

from datetime import timedelta

import pytest

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import DeviceId, ServerName, UserId
from lamplighter.ports import Requester
from lamplighter.presence.events import DeviceGone, Event, SyncEnded, SyncStarted
from lamplighter.presence.machine import Rules, SyncIsActivity
from lamplighter.presence.state import Presence
from lamplighter.presence.tracker import PresenceTracker
from lamplighter.service.connections import Connections

BOB, PHONE = UserId("@bob:demo"), DeviceId("PHONE")
WHO = Requester(BOB, PHONE)
BEGAN, ENDED = SyncStarted(BOB, PHONE), SyncEnded(BOB, PHONE)


class World:
    """A tracker, the connections before it, and what it is told."""

    def __init__(
        self, rules: Rules | None = None, grace: timedelta = timedelta(seconds=30)
    ) -> None:
        self.clock = FakeClock()
        self.told: list[Event] = []
        self.tracker = PresenceTracker(ServerName("demo"), rules or Rules())
        self.connections = Connections(self.tracker, self.clock, self._feed, grace)

    def _feed(self, event: Event) -> None:
        self.told.append(event)
        self.tracker.feed(event, self.clock.now())

    def polls(self, set_presence: Presence | None = None) -> None:
        """Poll for a second, and come back a hundredth of a second later."""
        connection = self.connections.begin(WHO, set_presence)
        self.clock.advance(seconds=1)
        self.connections.end(connection)
        self.clock.advance(milliseconds=10)

    def take_told(self) -> list[Event]:
        """Return what the tracker was told since the last time."""
        told, self.told[:] = list(self.told), []
        return told


@pytest.fixture
def world() -> World:
    """Nobody polls."""
    return World()


def ended(at: Timestamp) -> SyncEnded:
    """Return that bob's poll ended at that time."""
    return SyncEnded(BOB, PHONE, at)


def test_steady_polling(world: World) -> None:
    """Poll after poll, the machine hears of the first that begins, and of the last that ends."""
    for _ in range(10):
        world.polls()
        world.connections.sweep()
    assert world.take_told() == [BEGAN]
    last = Timestamp(world.clock.now() - 10)
    world.clock.advance(milliseconds=1_989)
    world.connections.sweep()
    assert world.take_told() == []
    world.clock.advance(milliseconds=1)
    world.connections.sweep()
    assert world.take_told() == [ended(last)]
    world.polls()
    assert world.take_told() == [BEGAN]


def test_the_grace_counts_from_the_end_of_the_poll(world: World) -> None:
    """That the end is told late makes nobody drop later."""
    world.polls()
    last = Timestamp(world.clock.now() - 10)
    world.clock.advance(seconds=2)
    world.connections.sweep()
    assert world.tracker.expire(Timestamp(last + 29_999)) == []
    [change] = world.tracker.expire(Timestamp(last + 30_000))
    assert change.new.state == Presence.OFFLINE


def test_several_polls_at_once(world: World) -> None:
    """Polls at once are one to the machine; the last to end ends it."""
    one, other = world.connections.begin(WHO, None), world.connections.begin(WHO, None)
    assert one is other
    world.connections.end(one)
    world.clock.advance(minutes=1)
    world.connections.sweep()
    assert world.take_told() == [BEGAN]
    world.connections.end(other)
    at = world.clock.now()
    world.clock.advance(seconds=2)
    world.connections.sweep()
    assert world.take_told() == [ended(at)]


def test_a_poll_that_asks_for_something(world: World) -> None:
    """What a poll asks for anew is told; asked for again, it is told no more."""
    world.polls()
    world.polls(Presence.UNAVAILABLE)
    world.polls(Presence.UNAVAILABLE)
    world.polls()
    asked = SyncStarted(BOB, PHONE, Presence.UNAVAILABLE)
    assert world.take_told() == [BEGAN, asked, ENDED]
    assert world.tracker.get(BOB).state == Presence.UNAVAILABLE


def test_a_poll_that_is_activity(world: World) -> None:
    """Each poll that says `online` is something the person did, and told."""
    world.polls(Presence.ONLINE)
    world.take_told()
    world.polls(Presence.ONLINE)
    world.polls(Presence.ONLINE)
    assert world.take_told() == [SyncStarted(BOB, PHONE, Presence.ONLINE), ENDED] * 2


def test_where_every_poll_is_activity() -> None:
    """Where the operator says so each poll is told."""
    world = World(Rules(sync_is_activity=SyncIsActivity.ALWAYS))
    world.polls()
    world.take_told()
    world.polls()
    assert world.take_told() == [BEGAN, ENDED]


def test_a_device_that_is_gone(world: World) -> None:
    """Who has logged out begins anew: the old poll's end is nothing to the new one."""
    old = world.connections.begin(WHO, None)
    world.connections.forget(BOB, PHONE)
    world.tracker.feed(DeviceGone(BOB, PHONE), world.clock.now())
    new = world.connections.begin(WHO, None)
    world.connections.end(old)
    world.clock.advance(minutes=1)
    world.connections.sweep()
    assert world.take_told() == [BEGAN, BEGAN]
    assert world.tracker.get(BOB).state == Presence.ONLINE
    assert new is not old


def test_a_short_grace() -> None:
    """Where the grace is short, so is the time for which an end is kept back."""
    world = World(grace=timedelta(milliseconds=400))
    assert world.connections.lingering == timedelta(milliseconds=100)

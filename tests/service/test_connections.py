"""The devices that poll, what they say by it, and what the state machine hears of it."""

from datetime import timedelta

import pytest

from lamplighter.clock import Timestamp
from lamplighter.presence.events import DeviceGone, StatusSet, SyncEnded, Syncing
from lamplighter.presence.machine import Rules, SyncIsActivity
from lamplighter.presence.state import Presence
from lamplighter.presence.timers import Timers
from tests.service.polling import BOB, PHONE, WHO, PollingWorld

ONLINE, UNAVAILABLE, BUSY = Presence.ONLINE, Presence.UNAVAILABLE, Presence.BUSY
BEGAN = Syncing(BOB, PHONE)
AWAY = Syncing(BOB, PHONE, UNAVAILABLE)


@pytest.fixture
def world() -> PollingWorld:
    """Nobody polls."""
    return PollingWorld()


def ended(at: Timestamp) -> SyncEnded:
    """Return that bob's last poll ended at that time."""
    return SyncEnded(BOB, PHONE, at)


def test_steady_polling(world: PollingWorld) -> None:
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


def test_the_grace_counts_from_the_end_of_the_poll(world: PollingWorld) -> None:
    """The grace begins at the end of the last poll, although the machine hears of it later."""
    world.polls()
    last = Timestamp(world.clock.now() - 10)
    world.clock.advance(seconds=2)
    world.connections.sweep()
    assert world.tracker.expire(Timestamp(last + 29_999)) == []
    [change] = world.tracker.expire(Timestamp(last + 30_000))
    assert change.new.state == Presence.OFFLINE


def test_several_polls_at_once(world: PollingWorld) -> None:
    """Polls at once that say the same are one to the machine; the last to end ends it."""
    one, other = world.connections.begin(WHO, None), world.connections.begin(WHO, None)
    world.connections.end(one, world.clock.now())
    world.clock.advance(minutes=1)
    world.connections.sweep()
    assert world.take_told() == [BEGAN]
    world.connections.end(other, world.clock.now())
    at = world.clock.now()
    world.clock.advance(seconds=2)
    world.connections.sweep()
    assert world.take_told() == [ended(at)]


def test_a_client_that_says_something_else(world: PollingWorld) -> None:
    """The machine hears at once of a poll that says something new, and not of one that does not."""
    for set_presence in (None, UNAVAILABLE, UNAVAILABLE, None, None):
        world.polls(set_presence)
        world.connections.sweep()
    assert world.take_told() == [BEGAN, AWAY, BEGAN]
    assert world.tracker.get(BOB).state == ONLINE


def test_the_highest_counts(world: PollingWorld) -> None:
    """The highest of the polls counts: one more lower poll changes nothing."""
    world.connections.begin(WHO, UNAVAILABLE)
    front = world.connections.begin(WHO, None)
    world.connections.begin(WHO, UNAVAILABLE)
    assert world.take_told() == [AWAY, BEGAN]
    world.connections.end(front, world.clock.now())
    world.clock.advance(milliseconds=1_999)
    world.connections.sweep()
    assert world.take_told() == []
    world.clock.advance(milliseconds=1)
    world.connections.sweep()
    assert world.take_told() == [AWAY]
    assert world.tracker.get(BOB).state == UNAVAILABLE


def test_two_tabs_that_are_answered_together(world: PollingWorld) -> None:
    """Two tabs of one device that disagree are answered and come back a hundred times; that the
    lower one is back first, or the higher one late, is no news.
    """
    front, back = world.connections.begin(WHO, None), world.connections.begin(WHO, UNAVAILABLE)
    for _ in range(100):
        world.connections.end(front, world.clock.now())
        world.connections.end(back, world.clock.now())
        world.clock.advance(milliseconds=20)
        back = world.connections.begin(WHO, UNAVAILABLE)
        world.clock.advance(milliseconds=30)
        world.connections.sweep()
        front = world.connections.begin(WHO, None)
        world.clock.advance(milliseconds=50)
    assert world.take_told() == [BEGAN]


def test_a_first_sync(world: PollingWorld) -> None:
    """A first sync is told, also where it says the same; but not where others say more."""
    world.polls()
    front = world.connections.begin(WHO, None, is_first=True)
    world.connections.begin(WHO, UNAVAILABLE, is_first=True)
    assert world.take_told() == [BEGAN, Syncing(BOB, PHONE, is_first=True)]
    world.connections.end(front, world.clock.now())


def test_fresh_activity(world: PollingWorld) -> None:
    """Explicit online, twice a second for a minute, is told once in a tenth of the granularity."""
    active = Syncing(BOB, PHONE, is_activity=True)
    for _ in range(120):
        world.polls(ONLINE, seconds=0.49)
    assert world.take_told() == [active] * 10
    assert world.clock.now() - world.tracker.get(BOB).last_active_ts <= 6_000


def test_activity_of_two_devices(world: PollingWorld) -> None:
    """Each device of a user is heard of, and its activity after that is no news."""
    for _ in range(12):
        world.polls(ONLINE, seconds=0.24)
        world.polls(ONLINE, seconds=0.24, device="LAPTOP")
    assert len(world.take_told()) == 2


def test_activity_after_something_has_happened(world: PollingWorld) -> None:
    """Activity is told, however fresh, once something else has happened to the device."""
    world.polls(ONLINE)
    world.feed(StatusSet(BOB, PHONE, ONLINE))
    world.polls(ONLINE)
    assert len(world.take_told()) == 3


def test_explicit_online_beside_one_that_is_busy(world: PollingWorld) -> None:
    """A poll that says online under one that says busy is no news."""
    world.connections.begin(WHO, BUSY)
    world.connections.begin(WHO, ONLINE)
    assert world.take_told() == [Syncing(BOB, PHONE, BUSY)]


@pytest.mark.parametrize(
    ("mode", "says", "told"),
    [
        (SyncIsActivity.ALWAYS, None, [Syncing(BOB, PHONE, is_activity=True)] * 2),
        (SyncIsActivity.NEVER, ONLINE, [BEGAN]),
    ],
)
def test_which_polls_are_activity(
    mode: SyncIsActivity, says: Presence | None, told: list[Syncing]
) -> None:
    """The operator may let every poll be activity, or none: then explicit online is told once."""
    world = PollingWorld(Rules(sync_is_activity=mode))
    for _ in range(12):
        world.polls(says)
    assert world.take_told() == told


def test_a_change_too_many(world: PollingWorld) -> None:
    """A change that is refused leaves what was said; the poll counts as one that says that."""
    world.polls()
    world.allowed = 0
    world.polls(UNAVAILABLE, seconds=100)
    assert (world.take_told(), world.tracker.get(BOB).state) == ([BEGAN], ONLINE)
    world.allowed = 1
    world.polls(UNAVAILABLE)
    assert (world.take_told(), world.tracker.get(BOB).state) == ([AWAY], UNAVAILABLE)


def test_what_changes_nothing_is_not_refused(world: PollingWorld) -> None:
    """Only what would change the device's presence counts against its limit."""
    world.connections.begin(WHO, ONLINE)
    world.allowed = 0
    for _ in range(20):
        world.polls(ONLINE)
        world.polls()
        world.connections.begin(WHO, UNAVAILABLE)
    assert world.asked == 1


def test_a_device_that_is_gone(world: PollingWorld) -> None:
    """A device that logs in again begins anew: the end of an old poll does not count."""
    old = world.connections.begin(WHO, None)
    world.connections.forget(BOB, PHONE)
    world.tracker.feed(DeviceGone(BOB, PHONE), world.clock.now())
    world.connections.begin(WHO, None)
    world.connections.end(old, world.clock.now())
    world.clock.advance(minutes=1)
    world.connections.sweep()
    assert world.take_told() == [BEGAN, BEGAN]
    assert world.tracker.get(BOB).state == ONLINE


def test_a_short_grace() -> None:
    """With a short grace, a poll that has ended counts for a short time, too."""
    world = PollingWorld(Rules(Timers(sync_online_timeout=timedelta(milliseconds=400))))
    assert world.connections.lingering == timedelta(milliseconds=100)

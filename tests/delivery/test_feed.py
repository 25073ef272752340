"""Outboxes, and the polls that wait for them."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.clock import Timestamp
from lamplighter.delivery.feed import MOST_POLLS, Feed, WaitingPoll
from lamplighter.delivery.outbox import Update
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import DeviceId, StreamPosition, UserId
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Module, Reasons, Self
from tests.routing.callbacks import turns
from tests.routing.people import ALICE, BOB, CHARLIE, state

PHONE, LAPTOP = DeviceId("PHONE"), DeviceId("LAPTOP")
WHY: Reasons = (Module("MyRouter"),)
BOBS = state(BOB)


def at(position: int) -> StreamPosition:
    """Return the position of that number."""
    return StreamPosition(position)


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


@pytest.fixture
def feed(clock: FakeClock) -> Feed:
    """A feed that stands at position 10 and keeps outboxes for a minute."""
    return Feed(clock, at(10), timedelta(minutes=1))


class Request(WaitingPoll):
    """A request that polls, and counts how often it is let look."""

    def __init__(self, feed: Feed, viewer: UserId, device_id: DeviceId = PHONE) -> None:
        super().__init__(device_id)
        self.looks = 0
        feed.wait(viewer, self)

    def look(self, _now: Timestamp) -> None:
        self.looks += 1


class Failing(Request):
    """One that raises when it looks."""

    def look(self, _now: Timestamp) -> None:
        raise ZeroDivisionError


def test_only_who_polls_has_an_outbox(feed: Feed) -> None:
    """An outbox is opened by asking; it knows of nothing before now, and stays the same."""
    assert (set(feed.viewers), feed.outbox(ALICE)) == (set(), None)
    outbox = feed.open(ALICE)
    assert (outbox.since, set(feed.viewers)) == (10, {ALICE})
    assert feed.open(ALICE) is outbox
    assert feed.outbox(ALICE) is outbox


def test_delivery(feed: Feed) -> None:
    """Each recipient with an outbox gets the update with their own reasons; it is counted."""
    for viewer in (ALICE, BOB):
        feed.open(viewer)
    delivery = Delivery(BOBS, {ALICE: WHY, BOB: (Self(),), CHARLIE: WHY})
    assert feed.deliver([delivery], at(12), at(11)) == 2
    updates = [feed.open(viewer).last(BOB) for viewer in (ALICE, BOB)]
    assert updates == [Update(BOBS, WHY, at(12), at(11)), Update(BOBS, (Self(),), at(12), at(11))]
    assert feed.outbox(CHARLIE) is None


def test_delivery_of_old_news(feed: Feed) -> None:
    """An update that an outbox refuses, because it has a newer one, counts as not delivered."""
    feed.open(ALICE)
    assert feed.deliver([Delivery(BOBS, {ALICE: WHY})], at(12), at(12)) == 1
    assert feed.deliver([Delivery(BOBS, {ALICE: WHY})], at(13), at(11)) == 0


async def test_delivery_wakes_each_once(feed: Feed) -> None:
    """Each waiting poll looks once for a batch, however many updates the batch has."""
    first, second, idle = (Request(feed, viewer) for viewer in (ALICE, ALICE, CHARLIE))
    deliveries = [Delivery(state(user), {ALICE: WHY}) for user in (BOB, CHARLIE)]
    feed.deliver(deliveries, at(11), at(11))
    assert [it.looks for it in (first, second, idle)] == [0, 0, 0]
    await turns()
    assert [it.looks for it in (first, second, idle)] == [1, 1, 0]
    feed.deliver([Delivery(BOBS, {ALICE: WHY})], at(12), at(10))
    await turns()
    assert first.looks == 1


def test_who_is_told_alike_shares_an_update(feed: Feed) -> None:
    """Recipients with the same reasons have one update in common, others one of their own."""
    for viewer in (ALICE, BOB, CHARLIE):
        feed.open(viewer)
    own: Reasons = (Self(),)
    recipients = {ALICE: WHY, BOB: own, CHARLIE: WHY}
    assert feed.deliver([Delivery(BOBS, recipients)], at(11), at(11)) == 3
    alice, bob, charlie = (feed.open(viewer).last(BOB) for viewer in (ALICE, BOB, CHARLIE))
    assert alice is charlie
    assert bob == Update(BOBS, own, at(11), at(11))


async def test_many_polls_look_one_part_after_the_other(feed: Feed) -> None:
    """Of many polls that are woken at once, a part looks in each cycle of the loop, in their order,
    and each looks once.
    """
    polls = [Request(feed, UserId(f"@user{number}:lamp.test")) for number in range(1_200)]
    feed.wake([UserId(f"@user{number}:lamp.test") for number in range(1_200)])
    feed.wake_one(polls[1_100])
    await turns(1)
    seen = [poll.looks for poll in polls]
    assert 0 < sum(seen) < 1_200
    assert seen == [1] * sum(seen) + [0] * (1_200 - sum(seen))
    await turns(3)
    assert [poll.looks for poll in polls] == [1] * 1_200


async def test_a_poll_that_fails(feed: Feed) -> None:
    """A poll that raises where it looks costs the others nothing, and is logged."""
    Failing(feed, ALICE)
    other = Request(feed, ALICE)
    with capture_logs() as logged:
        feed.wake([ALICE])
        await turns()
    assert other.looks == 1
    assert [it["event"] for it in logged] == ["a poll failed"]


async def test_ending_a_poll(feed: Feed) -> None:
    """A poll that is ended is over, and looks for the last time."""
    request = Request(feed, ALICE)
    request.end()
    request.end()
    await turns()
    assert (request.is_over, request.looks) == (True, 1)


async def test_waiting(feed: Feed) -> None:
    """A viewer waits from the first poll until the last is given back."""
    requests = Request(feed, ALICE), Request(feed, ALICE)
    waits = [feed.is_waiting(ALICE)]
    for request in requests:
        feed.release(ALICE, request)
        waits.append(feed.is_waiting(ALICE))
    assert (waits, feed.is_waiting(CHARLIE)) == ([True, True, False], False)


async def test_too_many_polls(feed: Feed) -> None:
    """Beyond the bound, each new poll of a viewer has the oldest answered."""
    requests = [Request(feed, ALICE) for _ in range(MOST_POLLS)]
    other = Request(feed, BOB)
    assert [it.is_over for it in requests] == [False] * MOST_POLLS
    newest = Request(feed, ALICE)
    assert [it.is_over for it in requests] == [True] + [False] * (MOST_POLLS - 1)
    assert [newest.is_over, other.is_over] == [False, False]
    feed.release(ALICE, requests[0])


async def test_sweeping(feed: Feed, clock: FakeClock) -> None:
    """A sweep drops the outboxes of viewers who have not polled for the set time, and no other."""
    waiting, leaving = Request(feed, BOB), Request(feed, CHARLIE)
    feed.open(ALICE)
    clock.advance(milliseconds=59_999)
    assert feed.sweep() == []
    feed.release(CHARLIE, leaving)
    clock.advance(milliseconds=1)
    assert feed.sweep() == [ALICE]
    assert set(feed.viewers) == {BOB, CHARLIE}
    feed.release(BOB, waiting)
    clock.advance(minutes=1)
    assert sorted(feed.sweep()) == [BOB, CHARLIE]
    assert set(feed.viewers) == set()


def test_asking_keeps_an_outbox(feed: Feed, clock: FakeClock) -> None:
    """Opening an outbox again in time keeps it."""
    feed.open(ALICE)
    clock.advance(seconds=40)
    feed.open(ALICE)
    clock.advance(seconds=40)
    assert feed.sweep() == []


async def test_forgetting(feed: Feed, clock: FakeClock) -> None:
    """Forgetting a viewer empties the outbox and ends the polls; a poll that reads is woken."""
    feed.deliver([Delivery(BOBS, {ALICE: WHY})], at(11), at(11))
    feed.advance_to(at(11))
    poll = Request(feed, ALICE)
    outbox = feed.open(ALICE)
    feed.open(CHARLIE)
    for viewer in (ALICE, BOB, CHARLIE):
        feed.forget(viewer)
    await turns()
    assert (poll.is_over, poll.looks, feed.outbox(CHARLIE)) == (True, 1, None)
    feed.wake([ALICE])
    await turns()
    assert (poll.looks, feed.open(ALICE).since, feed.open(ALICE) is outbox) == (2, 11, False)
    feed.release(ALICE, poll)
    clock.advance(minutes=1)
    assert feed.sweep() == [ALICE]


async def test_revoking(feed: Feed) -> None:
    """The polls of a device that has logged out are over, and refused; no other device's are."""
    polls = [Request(feed, *who) for who in ((ALICE, PHONE), (ALICE, LAPTOP), (BOB, PHONE))]
    feed.revoke(ALICE, PHONE)
    feed.revoke(CHARLIE, PHONE)
    assert [poll.is_over for poll in polls] == [True, False, False]
    assert [poll.refusal is not None for poll in polls] == [True, False, False]


async def test_closing(feed: Feed) -> None:
    """When the feed closes every poll is answered, and none waits from then on."""
    polls = [Request(feed, viewer) for viewer in (ALICE, ALICE, BOB)]
    feed.close()
    assert [poll.is_over for poll in [*polls, Request(feed, CHARLIE)]] == [True] * 4


async def test_reaching_a_position(feed: Feed) -> None:
    """`reach` returns once the stream is at the position, or when the feed is closed."""
    near, far = [asyncio.ensure_future(feed.reach(at(it), timedelta(seconds=2))) for it in (12, 99)]
    await turns()
    feed.advance_to(at(11))
    await turns()
    assert not near.done()
    feed.advance_to(at(12))
    assert await near
    feed.close()
    assert not await far
    assert await feed.reach(at(12), timedelta(seconds=2))
    assert not await feed.reach(at(13), timedelta(seconds=2))


async def test_who_goes_as_the_position_is_reached(feed: Feed, clock: FakeClock) -> None:
    """In the cycle in which a wait ends, by time or without use, the stream goes on for others."""
    seconds = (2, 3, 4)
    late, gone, stays = [
        asyncio.ensure_future(feed.reach(at(12), timedelta(seconds=it))) for it in seconds
    ]
    await turns()
    clock.advance(seconds=2)
    gone.cancel()
    feed.advance_to(at(12))
    assert await stays
    assert await late  # as it looks again when its time is over
    with pytest.raises(asyncio.CancelledError):
        await gone

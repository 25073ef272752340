"""Outboxes, and the polls that wait for them."""

import asyncio
from datetime import timedelta

import pytest

from lamplighter.delivery.feed import MOST_POLLS, Feed, Poll
from lamplighter.delivery.outbox import Update
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import DeviceId, StreamPosition
from lamplighter.routing.plan import Telling
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


class Waiter:
    """Somebody who waits for a poll, and counts how often they are woken."""

    def __init__(self, poll: Poll) -> None:
        self.woken = 0
        self._task = asyncio.ensure_future(self._wait(poll))

    async def _wait(self, poll: Poll) -> None:
        while not poll.is_over:
            await poll.wait()
            self.woken += 1

    @property
    def is_done(self) -> bool:
        return self._task.done()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


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
    telling = Telling(BOBS, {ALICE: WHY, BOB: (Self(),), CHARLIE: WHY})
    assert feed.deliver([telling], at(12), at(11)) == 2
    updates = [feed.open(viewer).last(BOB) for viewer in (ALICE, BOB)]
    assert updates == [Update(BOBS, WHY, at(12), at(11)), Update(BOBS, (Self(),), at(12), at(11))]
    assert (feed.outbox(CHARLIE), feed.position) == (None, 12)


def test_delivery_of_old_news(feed: Feed) -> None:
    """What an outbox refuses, because it knows of something newer, counts as not delivered."""
    feed.open(ALICE)
    assert feed.deliver([Telling(BOBS, {ALICE: WHY})], at(12), at(12)) == 1
    assert feed.deliver([Telling(BOBS, {ALICE: WHY})], at(13), at(11)) == 0
    assert feed.position == 13


async def test_delivery_wakes_each_once(feed: Feed) -> None:
    """However many updates a batch brings a viewer, each waiting poll is woken once."""
    first, second, idle = (Waiter(feed.poll(viewer, PHONE)) for viewer in (ALICE, ALICE, CHARLIE))
    await turns()
    tellings = [Telling(state(user), {ALICE: WHY}) for user in (BOB, CHARLIE)]
    feed.deliver(tellings, at(11), at(11))
    await turns()
    assert [waiter.woken for waiter in (first, second, idle)] == [1, 1, 0]
    feed.deliver([Telling(BOBS, {ALICE: WHY})], at(12), at(10))
    await turns()
    assert first.woken == 1
    for waiter in (first, second, idle):
        await waiter.stop()


async def test_news_before_the_wait(feed: Feed) -> None:
    """A poll that is woken before anybody waits for it does not lose that."""
    poll = feed.poll(ALICE, PHONE)
    feed.wake([ALICE, CHARLIE])
    feed.wake([ALICE])
    waiter = Waiter(poll)
    await turns()
    assert (waiter.woken, waiter.is_done) == (1, False)
    await waiter.stop()


async def test_ending_a_poll(feed: Feed) -> None:
    """A poll that is ended is over, and nobody waits for it any more."""
    poll = feed.poll(ALICE, PHONE)
    waiter = Waiter(poll)
    await turns()
    poll.end()
    await turns()
    assert (poll.is_over, waiter.is_done) == (True, True)
    await poll.wait()


async def test_waiting(feed: Feed) -> None:
    """A viewer waits from the first poll until the last is given back."""
    one, other = feed.poll(ALICE, PHONE), feed.poll(ALICE, PHONE)
    waits = [feed.is_waiting(ALICE)]
    for poll in (one, other):
        feed.release(ALICE, poll)
        waits.append(feed.is_waiting(ALICE))
    assert (waits, feed.is_waiting(CHARLIE)) == ([True, True, False], False)


async def test_too_many_polls(feed: Feed) -> None:
    """Beyond the bound, each new poll of a viewer has the oldest answered."""
    polls = [feed.poll(ALICE, PHONE) for _ in range(MOST_POLLS)]
    others = feed.poll(BOB, PHONE)
    assert [poll.is_over for poll in polls] == [False] * MOST_POLLS
    newest = feed.poll(ALICE, PHONE)
    assert [poll.is_over for poll in polls] == [True] + [False] * (MOST_POLLS - 1)
    assert [newest.is_over, others.is_over] == [False, False]
    feed.release(ALICE, polls[0])


async def test_sweeping(feed: Feed, clock: FakeClock) -> None:
    """The outbox of who has not polled for the time that it is kept is dropped, no other."""
    waiting, leaving = feed.poll(BOB, PHONE), feed.poll(CHARLIE, PHONE)
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
    """Whoever asks again in time keeps the outbox."""
    feed.open(ALICE)
    clock.advance(seconds=40)
    feed.open(ALICE)
    clock.advance(seconds=40)
    assert feed.sweep() == []


async def test_forgetting(feed: Feed) -> None:
    """Who is forgotten loses the outbox, and their polls are answered; later calls are harmless."""
    poll = feed.poll(ALICE, PHONE)
    feed.forget(ALICE)
    feed.forget(CHARLIE)
    assert (poll.is_over, feed.outbox(ALICE), feed.is_waiting(ALICE)) == (True, None, False)
    feed.wake([ALICE])
    feed.release(ALICE, poll)
    assert feed.open(ALICE).since == 10


async def test_revoking(feed: Feed) -> None:
    """The polls of a device that has logged out are over, and refused; no other device's are."""
    polls = [feed.poll(*who) for who in ((ALICE, PHONE), (ALICE, LAPTOP), (BOB, PHONE))]
    feed.revoke(ALICE, PHONE)
    feed.revoke(CHARLIE, PHONE)
    assert [poll.is_over for poll in polls] == [True, False, False]
    assert [poll.is_revoked for poll in polls] == [True, False, False]


async def test_closing(feed: Feed) -> None:
    """When the feed closes every poll is answered, and none waits from then on."""
    polls = [feed.poll(viewer, PHONE) for viewer in (ALICE, ALICE, BOB)]
    feed.close()
    assert [poll.is_over for poll in [*polls, feed.poll(CHARLIE, PHONE)]] == [True] * 4

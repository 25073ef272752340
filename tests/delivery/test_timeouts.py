"""When polls are over."""

from datetime import timedelta

import pytest

from lamplighter.clock import Timestamp
from lamplighter.delivery.feed import WaitingPoll
from lamplighter.delivery.timeouts import Timeouts
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import DeviceId


class Poll(WaitingPoll):
    """A poll that counts how often it is ended."""

    def __init__(self) -> None:
        super().__init__(DeviceId("PHONE"))
        self.ends = 0

    def look(self, _now: Timestamp) -> None:
        """Nothing wakes it."""

    def end(self) -> None:
        self.ends += 1


@pytest.fixture
def clock() -> FakeClock:
    """A time that is no multiple of anything."""
    clock = FakeClock()
    clock.advance(milliseconds=37)
    return clock


def test_a_short_time(clock: FakeClock) -> None:
    """A poll of less than a second ends to the millisecond."""
    poll = Poll()
    Timeouts(clock).put(poll, timedelta(milliseconds=999), clock.now())
    clock.advance(milliseconds=998)
    assert poll.ends == 0
    clock.advance(milliseconds=1)
    assert poll.ends == 1


def test_those_of_one_moment(clock: FakeClock) -> None:
    """Longer ones that end within a tenth of a second end together, never too early."""
    timeouts = Timeouts(clock)
    polls = [Poll() for _ in range(50)]
    for poll in polls:
        timeouts.put(poll, timedelta(seconds=30), clock.now())
        clock.advance(milliseconds=1)
    due = clock.next_timer()
    assert due is not None
    clock.advance_to(due)
    assert [poll.ends for poll in polls] == [1] * 50
    assert clock.next_timer() is None


def test_never_too_early(clock: FakeClock) -> None:
    """No poll is over before its time, and none a tenth of a second after it."""
    poll = Poll()
    Timeouts(clock).put(poll, timedelta(seconds=1), clock.now())
    clock.advance(milliseconds=999)
    assert poll.ends == 0
    clock.advance(milliseconds=100)
    assert poll.ends == 1


def test_one_that_is_taken_out(clock: FakeClock) -> None:
    """A poll that is taken out is not ended; the last poll of an instant leaves no timer."""
    timeouts = Timeouts(clock)
    first, second = Poll(), Poll()
    due = timeouts.put(first, timedelta(seconds=1), clock.now())
    assert timeouts.put(second, timedelta(seconds=1), clock.now()) == due == clock.now() + 1063
    timeouts.take_out(first, due)
    timeouts.take_out(first, due)
    assert clock.next_timer() is not None
    clock.advance(seconds=2)
    assert (first.ends, second.ends) == (0, 1)
    timeouts.take_out(second, due)
    timeouts.take_out(first, timeouts.put(first, timedelta(seconds=1), clock.now()))
    assert clock.next_timer() is None

"""Token buckets."""

from datetime import timedelta

import pytest

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import LimitExceeded
from lamplighter.web.limits import Limiter, RateLimiter


def takes(limiter: Limiter, times: int, key: str = "alice") -> int:
    """Take *times* times; return how many were granted."""
    granted = 0
    for _ in range(times):
        try:
            limiter.take(key)
        except LimitExceeded:
            continue
        granted += 1
    return granted


def test_a_burst_is_granted_and_then_the_rate() -> None:
    """A full bucket holds a burst, and one more comes per interval, up to a burst; what is refused
    costs nothing.
    """
    clock = FakeClock()
    limiter = RateLimiter(2, 5, clock)
    granted = []
    for seconds in (0, 0.499, 0.001, 1, 3600):
        clock.advance(seconds=seconds)
        granted.append(takes(limiter, 10))
    assert granted == [5, 0, 1, 2, 5]


def test_who_is_refused_is_told_when_to_come_back() -> None:
    """`retry_after` is the time until the next one is granted, and then it is granted."""
    clock = FakeClock()
    limiter = RateLimiter(0.5, 1, clock)
    limiter.take("alice")
    clock.advance(milliseconds=300)
    with pytest.raises(LimitExceeded) as refused:
        limiter.take("alice")
    assert refused.value.retry_after == timedelta(milliseconds=1700)
    clock.advance(milliseconds=1700)
    limiter.take("alice")


def test_allows_is_take_without_an_exception() -> None:
    """`allows` counts a use as `take` does, and says no where `take` would raise."""
    clock = FakeClock()
    limiter = RateLimiter(1, 2, clock)
    assert [limiter.allows("alice") for _ in range(3)] == [True, True, False]
    with pytest.raises(LimitExceeded):
        limiter.take("alice")
    clock.advance(seconds=1)
    assert [limiter.allows("alice") for _ in range(2)] == [True, False]
    assert all(Limiter().allows("alice") for _ in range(1000))


def test_keys_have_buckets_of_their_own() -> None:
    """What one uses up, another still has, and never more than a burst."""
    clock = FakeClock()
    limiter = RateLimiter(1, 3, clock)
    assert (takes(limiter, 5, "alice"), takes(limiter, 1, "bob")) == (3, 1)
    clock.advance(seconds=2)
    assert takes(limiter, 5, "bob") == 3


def test_full_buckets_are_forgotten() -> None:
    """A key whose bucket is full again takes no memory."""
    clock = FakeClock()
    limiter = RateLimiter(1, 2, clock)
    for number in range(100):
        limiter.take(f"user{number}")
    assert len(limiter) == 100
    clock.advance(seconds=1)
    limiter.take("bob")
    assert len(limiter) == 1


def test_memory_is_bounded() -> None:
    """Beyond `max_keys` the bucket used longest ago is forgotten, and the one in use is not."""
    limiter = RateLimiter(1, 5, FakeClock(), max_keys=3)
    for number in range(5):
        limiter.take("alice")
        limiter.take(f"user{number}")
        assert len(limiter) <= 3
    assert takes(limiter, 1, "alice") == 0
    assert takes(limiter, 5, "user0") == 5


class TurnedBack(FakeClock):
    """A clock that is set back by hours after two looks."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = [Timestamp(0)] + [Timestamp(10_000_000)] * 2

    def now(self) -> Timestamp:
        return self._shown.pop() if len(self._shown) > 1 else self._shown[0]


def test_a_clock_set_back_does_not_lock_out() -> None:
    """After the clock was set back by hours no key waits longer than for a whole bucket."""
    limiter = RateLimiter(1, 2, TurnedBack())
    takes(limiter, 2)
    with pytest.raises(LimitExceeded) as refused:
        limiter.take("alice")
    assert refused.value.retry_after == timedelta(seconds=1)

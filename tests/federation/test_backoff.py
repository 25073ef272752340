"""How long a server that does not answer is left alone."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timestamp, after
from lamplighter.federation.backoff import Backoff, BackoffSettings
from lamplighter.ports import BackoffState

NOW: Final = Timestamp(1_000_000)


def always(number: float) -> Callable[[], float]:
    """Return chance that is none."""
    return lambda: number


def pauses(backoff: Backoff, failures: int) -> list[float]:
    """Return the pauses, in seconds, after each of so many *failures*."""
    lengths = []
    for _ in range(failures):
        backoff.failed(NOW)
        assert backoff.retry_at is not None
        lengths.append((backoff.retry_at - NOW) / 1000)
    return lengths


def test_the_defaults() -> None:
    """The pauses begin with a second, and end with an hour."""
    assert BackoffSettings() == BackoffSettings(timedelta(seconds=1), timedelta(hours=1))


def test_nothing_is_wrong() -> None:
    """Before it fails there is nothing to wait for, nor to keep."""
    backoff = Backoff(always(0))
    assert (backoff.retry_at, backoff.state) == (None, None)


def test_longer_each_time() -> None:
    """Each failure in a row doubles the pause, up to the longest one."""
    backoff = Backoff(always(0), BackoffSettings(longest=timedelta(seconds=10)))
    assert pauses(backoff, 6) == [1, 2, 4, 8, 10, 10]


def test_chance_shortens() -> None:
    """Chance shortens a pause by up to a half, the longest one too."""
    backoff = Backoff(always(0.5), BackoffSettings(longest=timedelta(seconds=4)))
    assert pauses(backoff, 4) == [0.75, 1.5, 3, 3]


def test_a_success_between() -> None:
    """A success forgets all failures."""
    backoff = Backoff(always(0))
    pauses(backoff, 3)
    backoff.succeeded()
    assert (backoff.retry_at, backoff.state, pauses(backoff, 2)) == (None, None, [1, 2])


def test_a_restart_between() -> None:
    """What was kept continues: the same pause, and then a longer one."""
    before = Backoff(always(0))
    pauses(before, 3)
    assert before.state == BackoffState(3, Timestamp(NOW + 4000))
    later = Backoff(always(0))
    later.restore(before.state, NOW)
    assert (later.state, pauses(later, 1)) == (before.state, [8])


@pytest.mark.parametrize(
    ("kept", "restored"),
    [
        (BackoffState(2, Timestamp(NOW + 10**12)), BackoffState(2, Timestamp(NOW + 3_600_000))),
        (BackoffState(2, Timestamp(0)), BackoffState(2, Timestamp(0))),
        (BackoffState(-1, Timestamp(NOW)), BackoffState(1, Timestamp(NOW))),
    ],
)
def test_a_clock_that_was_wrong(kept: BackoffState, restored: BackoffState) -> None:
    """What was kept never makes us wait longer than the longest pause."""
    backoff = Backoff(always(0))
    backoff.restore(kept, NOW)
    assert backoff.state == restored


@given(
    first=st.integers(1, 10**6),
    longest=st.integers(1, 10**9),
    failures=st.integers(1, 10**9),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_any_pause(first: int, longest: int, failures: int, chance: float) -> None:
    """However often it failed, the next pause is at most the longest, and at least half of it
    or of the doubled first.
    """
    settings = BackoffSettings(timedelta(milliseconds=first), timedelta(milliseconds=longest))
    backoff = Backoff(always(chance), settings)
    backoff.restore(BackoffState(failures, NOW), NOW)
    backoff.failed(NOW)
    whole = min(longest, first * 2 ** min(failures, 64))
    assert backoff.state is not None
    assert backoff.state.failures == failures + 1
    assert whole // 2 <= backoff.state.retry_at - NOW <= whole
    assert backoff.state.retry_at <= after(NOW, settings.longest)

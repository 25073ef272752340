"""How long to wait before trying a server again."""

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
    """Return a source of the same number."""
    return lambda: number


def pauses(backoff: Backoff, failures: int) -> list[float]:
    """Return the pauses, in seconds, after each of *failures* failures."""
    lengths = []
    for _ in range(failures):
        backoff.failed(NOW)
        assert backoff.retry_at is not None
        lengths.append((backoff.retry_at - NOW) / 1000)
    return lengths


def test_longer_each_time() -> None:
    """Each pause is twice the last one, up to the longest; chance shortens it by up to a half."""
    backoff = Backoff(always(0.5), BackoffSettings(longest=timedelta(seconds=4)))
    assert pauses(backoff, 4) == [0.75, 1.5, 3, 3]


def test_a_success_between() -> None:
    """After a success, as before the first failure, there is no pause and nothing to store."""
    backoff = Backoff(always(0))
    assert (backoff.retry_at, backoff.state, pauses(backoff, 3)) == (None, None, [1, 2, 4])
    backoff.succeeded()
    assert (backoff.retry_at, backoff.state, pauses(backoff, 2)) == (None, None, [1, 2])


def test_a_restart_between() -> None:
    """A restored back-off continues: the same pause, and then a longer one."""
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
    """A restored pause is never longer than the longest pause."""
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
    """After any number of failures the pause is at least half of the doubled first pause, and at
    most the longest one.
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

"""The limit on repeated log lines."""

from datetime import timedelta

from lamplighter.clock import Timestamp
from lamplighter.log_limits import LogLimit


def test_the_first_time_and_then_once_a_minute() -> None:
    """The first line is admitted, and then one a minute, with the number of lines left out."""
    limit = LogLimit()
    said = [limit.admits("x", Timestamp(second * 1_000)) for second in (0, 1, 59, 60, 61, 200)]
    assert said == [0, None, None, 2, None, 1]


def test_each_problem_by_itself() -> None:
    """Problems are limited independently."""
    limit = LogLimit()
    assert [limit.admits(it, Timestamp(0)) for it in "abab"] == [0, 0, None, None]


def test_problems_without_end() -> None:
    """Beyond the greatest number of problems, all others share one limit."""
    limit = LogLimit(timedelta(minutes=1), most=3)
    said = [limit.admits(number, Timestamp(0)) for number in range(1_000)]
    assert said == [0] * 4 + [None] * 996
    assert limit.admits(5_000, Timestamp(60_000)) == 996


def test_a_clock_that_is_set_back() -> None:
    """A clock that is set back suppresses no line."""
    limit = LogLimit()
    assert [limit.admits("x", Timestamp(it)) for it in (10**12, 5)] == [0, 0]

"""Metrics: each thing that happens has a number, under a name that operators know."""

from collections.abc import Callable

import pytest

from lamplighter.metrics import Metrics


def _lines(metrics: Metrics) -> list[str]:
    return metrics.exposition().decode().splitlines()


# fmt: off
HAPPENINGS: list[tuple[list[Callable[[Metrics], None]], str]] = [
    ([lambda m: m.announced("the state differs")],
     'lamplighter_changes_total{reason="the state differs"} 1.0'),
    ([lambda m: m.delivered(7)], "lamplighter_delivered_updates_total 7.0"),
    ([lambda m: m.sync_answered()], "lamplighter_syncs_total 1.0"),
    ([Metrics.poll_began, Metrics.poll_began, Metrics.poll_ended],
     "lamplighter_polls_in_flight 1.0"),
    ([lambda m: m.module_answered("M", "get_users_for_states", 0.02)],
     'lamplighter_module_seconds_bucket'
     '{callback="get_users_for_states",le="0.025",module="M"} 1.0'),
    ([lambda m: m.module_failed("M", "get_interested_users", "timeout")],
     'lamplighter_module_failures_total'
     '{callback="get_interested_users",kind="timeout",module="M"} 1.0'),
    ([lambda m: m.breaker("M", True)], 'lamplighter_module_paused{module="M"} 1.0'),
    ([lambda m: m.breaker("M", True), lambda m: m.breaker("M", False)],
     'lamplighter_module_paused{module="M"} 0.0'),
    ([lambda m: m.committed(40)], 'lamplighter_commit_states_bucket{le="50.0"} 1.0'),
]
# fmt: on


@pytest.mark.parametrize(("happenings", "line"), HAPPENINGS)
def test_each_happening_is_counted(happenings: list[Callable[[Metrics], None]], line: str) -> None:
    """What has happened shows as one line of the exposition, and was not there before."""
    metrics = Metrics()
    assert line not in _lines(metrics)
    for happen in happenings:
        happen(metrics)
    assert line in _lines(metrics)


def test_two_servers_count_apart() -> None:
    """Every `Metrics` has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.sync_answered()
    assert "lamplighter_syncs_total 0.0" in _lines(other)

"""The metrics of a server."""

import platform
import re
from collections.abc import Callable
from dataclasses import replace
from inspect import isfunction
from pathlib import Path

import pytest

import lamplighter
from lamplighter import __version__
from lamplighter.metrics import ClusterReadings, Counts, Metrics, Readings

#: A use of a `Metrics`.
_METRICS_USED = re.compile(r"metrics\.(\w+)")


CLUSTER = ClusterReadings(3, 21, 2, 0.5, 1, 4, 5, 6, 7, 8)


def _lines(metrics: Metrics) -> list[str]:
    return metrics.exposition().decode().splitlines()


# fmt: off
HAPPENINGS: list[tuple[list[Callable[[Metrics], None]], str]] = [
    ([lambda m: m.announced("the state differs")],
     'lamplighter_changes_total{reason="the state differs"} 1.0'),
    ([lambda m: m.delivered(7)], "lamplighter_delivered_updates_total 7.0"),
    ([lambda m: setattr(m, "syncs", 1)], "lamplighter_syncs_total 1.0"),
    ([lambda m: m.module_answered("M", "get_users_for_states", 0.02)],
     'lamplighter_module_seconds_bucket'
     '{callback="get_users_for_states",le="0.025",module="M"} 1.0'),
    ([lambda m: m.module_failed("M", "get_interested_users", "timeout")],
     'lamplighter_module_failures_total'
     '{callback="get_interested_users",kind="timeout",module="M"} 1.0'),
    ([lambda m: m.breaker("M", True)], 'lamplighter_module_paused{module="M"} 1.0'),
    ([lambda m: m.breaker("M", True), lambda m: m.breaker("M", False)],
     'lamplighter_module_paused{module="M"} 0.0'),
    ([lambda m: m.shadow_differs("M", "gains")],
     'lamplighter_shadow_differences_total{kind="gains",module="M"} 1.0'),
    ([lambda m: m.shadow_left_undone("M", "sleep")],
     'lamplighter_shadow_left_undone_total{call="sleep",module="M"} 1.0'),
    ([lambda m: m.login("refused")], 'lamplighter_logins_total{outcome="refused"} 1.0'),
    ([lambda m: m.connection_refused()], "lamplighter_connections_refused_total 1.0"),
    ([lambda m: m.committed(40)], 'lamplighter_commit_states_bucket{le="50.0"} 1.0'),
]
# fmt: on


@pytest.mark.parametrize(("happenings", "line"), HAPPENINGS)
def test_each_happening_is_counted(happenings: list[Callable[[Metrics], None]], line: str) -> None:
    """Each event adds its line to the exposition."""
    metrics = Metrics()
    assert line not in _lines(metrics)
    for happen in happenings:
        happen(metrics)
    assert line in _lines(metrics)


def test_what_is_looked_at_when_somebody_asks() -> None:
    """Readings are taken again for each exposition."""
    metrics = Metrics()
    taken: list[int] = []

    def take() -> Readings:
        taken.append(len(taken))
        return Readings({"online": len(taken)}, 7, 3, 1.5, {"ready": 2, "backing_off": 1}, 9, 4, 1)

    metrics.read(take)
    for number in (1, 2):
        lines = _lines(metrics)
        assert f'lamplighter_presence_users{{presence="online"}} {number}.0' in lines
    assert {
        "lamplighter_outboxes 7.0",
        "lamplighter_polls_in_flight 3.0",
        "lamplighter_stream_timestamp_seconds 1.5",
        'lamplighter_destinations{state="ready"} 2.0',
        'lamplighter_destinations{state="backing_off"} 1.0',
        "lamplighter_federation_queue_states 9.0",
        "lamplighter_storage_failures_total 4.0",
        "lamplighter_homeserver_problem 1.0",
    } <= set(lines)


def test_what_a_node_of_a_cluster_says() -> None:
    """A node has the readings of its cluster; a server that is alone has none of them."""
    alone, node = Metrics(), Metrics()
    readings = Readings({"online": 1}, 7, 3, 1.5, {"ready": 2}, 9, 4, 1)
    alone.read(lambda: readings)
    node.read(lambda: replace(readings, cluster=CLUSTER))
    values = {it for it in _lines(node) if not it.startswith("#")} - set(_lines(alone))
    assert {it for it in values if it.startswith("lamplighter_cluster_")} == {
        "lamplighter_cluster_nodes 3.0",
        "lamplighter_cluster_partitions 21.0",
        "lamplighter_cluster_unowned_partitions 2.0",
        "lamplighter_cluster_lag_seconds 0.5",
        "lamplighter_cluster_lease 1.0",
        "lamplighter_cluster_leases_lost_total 4.0",
        "lamplighter_cluster_records_told_total 5.0",
        "lamplighter_cluster_records_read_total 6.0",
        "lamplighter_cluster_events_said_total 7.0",
        "lamplighter_cluster_events_waiting 8.0",
    }
    assert "lamplighter_cluster_" not in "".join(_lines(alone))


def test_what_runs() -> None:
    """One metric has the version of the server and of Python."""
    [line] = [it for it in _lines(Metrics()) if it.startswith("lamplighter_build_info{")]
    assert f'version="{__version__}"' in line
    assert f'python="{platform.python_version()}"' in line


def test_counts_can_be_read() -> None:
    """The counters of polls can be read without an exposition."""
    metrics = Metrics()
    metrics.delivered(3)
    metrics.syncs += 1
    metrics.announced("state")
    assert metrics.counts == Counts(delivered=3, syncs=1, changes={"state": 1})


def test_two_servers_count_apart() -> None:
    """Every `Metrics` has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.syncs += 1
    assert "lamplighter_syncs_total 0.0" in _lines(other)


def test_every_metric_is_fed() -> None:
    """Each metric has a method, a number, or a reading that changes it."""
    metrics = Metrics()
    before = _families(metrics)
    for happenings, _ in HAPPENINGS:
        for happen in happenings:
            happen(metrics)
    metrics.read(lambda: Readings({"online": 1}, 7, 3, 1.5, {"ready": 2}, 9, 4, 1, CLUSTER))
    after = _families(metrics)
    assert {name for name, lines in after.items() if lines == before.get(name)} == {
        "lamplighter_build_info"
    }


def _families(metrics: Metrics) -> dict[str, list[str]]:
    """Return the lines of each metric of this server, but for when it was first counted."""
    found: dict[str, list[str]] = {}
    for line in _lines(metrics):
        if line.startswith("# TYPE "):
            family = found.setdefault(line.split()[2], [])
        elif line[0] != "#":
            family.append(line)
    return {
        name: lines
        for name, lines in found.items()
        if name.startswith("lamplighter_") and not name.endswith("_created")
    }


def test_everything_that_is_counted_is_fed() -> None:
    """The server calls each method that counts something."""
    counting = {name for name, it in vars(Metrics).items() if isfunction(it) and name[0] != "_"}
    called: set[str] = set()
    for path in Path(lamplighter.__file__).parent.rglob("*.py"):
        if path.parent.name == "lamplighter" and path.name == "metrics.py":
            continue
        called |= set(_METRICS_USED.findall(path.read_text(encoding="utf-8")))
    assert counting - called == set()

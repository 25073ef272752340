"""The simulation of many nodes: nothing is lost in it, and chance is only the seed's."""

from dataclasses import asdict, replace
from typing import Final

import pytest

from bench.simulation import Costs, Load, simulate

#: Costs that can be added up in the head.
ROUND: Final = Costs(
    delivery=10, cold=0, change_read=5, read=2, append=4, owned_change=100, said=50, idle=0,
    bus_append=20, bus_read=10, bus_message=15, bus_node=0, bus_idle=0,
)  # fmt: skip
FREE: Final = Costs(**dict.fromkeys(asdict(ROUND), 0.0))


@pytest.mark.parametrize("nodes", [1, 2, 10])
@pytest.mark.parametrize(
    "load",
    [
        Load(watchers=100, changes=50, per_second=2_000),
        Load(watchers=7, changes=30, per_second=100, is_steady=True, together=10),
        Load(watchers=20, changes=40, together=4),
    ],
    ids=["at random", "in bursts", "one after the other"],
)
def test_everybody_is_told(nodes: int, load: Load) -> None:
    """There are as many deliveries as changes and watchers of each, on any number of nodes."""
    assert simulate(nodes, ROUND, load, seed=1).deliveries == load.changes * load.watchers


def test_the_seed_is_all_chance() -> None:
    """The same seed gives the same result, and another seed another one."""
    load = Load(watchers=10, changes=100, per_second=1_000)
    first = simulate(4, ROUND, load, seed=1)
    assert simulate(4, ROUND, load, seed=1) == first
    assert simulate(4, ROUND, load, seed=2) != first


def test_one_node_alone() -> None:
    """What one node does for a change can be added up: it decides, appends, reads and delivers."""
    found = simulate(1, ROUND, Load(watchers=3, changes=10), seed=1)
    of_one = 100 + 4 + 2 + 5 + 3 * 10
    assert found.nodes == pytest.approx([10 * of_one * 1e-6])
    assert found.bus == pytest.approx(10 * (20 + 10) * 1e-6)
    assert (found.p50, found.p99) == pytest.approx([(of_one + 20) * 1e-6] * 2)
    assert found.lag == 0


def test_every_node_reads_every_change() -> None:
    """What does not become less with more nodes is to read the changes of all."""
    costs = replace(FREE, change_read=5)
    found = simulate(4, costs, Load(watchers=3, changes=100), seed=1)
    assert found.nodes == pytest.approx([100 * 5e-6] * 4)


def test_cold_caches() -> None:
    """A node on a core of its own begins once; where nodes share one, each begins anew."""
    costs, load = replace(FREE, cold=1), Load(watchers=1, changes=100)
    own = sum(simulate(2, costs, load, seed=1).nodes)
    shared = sum(simulate(2, costs, load, seed=1, shares_core=True).nodes)
    assert own == 0  # nothing pauses, as nothing takes time
    assert shared >= 200 * 1e-6  # each reads each change after the other


def test_nodes_of_one_core_wait_for_each_other() -> None:
    """Two nodes on one core need twice as long for what both do."""
    costs, load = replace(FREE, change_read=1_000), Load(watchers=1, changes=10)
    own = simulate(2, costs, load, seed=1).seconds
    assert simulate(2, costs, load, seed=1, shares_core=True).seconds == pytest.approx(2 * own)


def test_idle_nodes_cost() -> None:
    """A second costs each node, and Valkey, something without any change."""
    costs = replace(FREE, idle=1_000, bus_node=10, bus_idle=5)
    found = simulate(3, costs, Load(1, 2, per_second=0.5, is_steady=True), seed=1)
    assert found.nodes == pytest.approx([found.seconds * 1e-3] * 3)
    assert found.bus == pytest.approx(found.seconds * 35e-6)

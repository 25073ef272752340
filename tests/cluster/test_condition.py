"""How a cluster is, as its standings say it."""

from collections.abc import Mapping
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.cluster.condition import ClusterCondition, ClusterWatch, NodeCondition
from lamplighter.cluster.log import (
    PARTITIONS,
    Birth,
    ClusterStanding,
    Lease,
    NodeName,
    NodeStanding,
    PartitionId,
)
from lamplighter.cluster.positions import BEGINNING, at_time
from lamplighter.ids import StreamPosition

A: Final = Lease(NodeName("a"), 1)
B: Final = Lease(NodeName("b"), 2)
BIRTH: Final = Birth("first")
#: a owns all.
ALL_TO_A: Final = dict.fromkeys(map(PartitionId, range(PARTITIONS)), A)


def at(milliseconds: int) -> StreamPosition:
    """Return the position of a record of this millisecond."""
    return at_time(Timestamp(milliseconds))


def standing(
    now: int,
    head: StreamPosition,
    a: StreamPosition,
    b: StreamPosition,
    owners: Mapping[PartitionId, Lease] = ALL_TO_A,
    birth: Birth = BIRTH,
) -> ClusterStanding:
    """Return how a and b are that have applied the log up to these positions."""
    nodes = (NodeStanding(A, "a:8008", a), NodeStanding(B, "b:8008", b))
    return ClusterStanding(nodes, owners, head, BEGINNING, Timestamp(now), birth)


def lags(condition: ClusterCondition) -> dict[str, int | None]:
    """Return the lag of each node."""
    return {str(it.name): it.lag_ms for it in condition.nodes}


def test_all_is_well() -> None:
    """The condition says what each node owns; nothing is wrong while all keep up."""
    owners = {it: A if it < 40 else B for it in ALL_TO_A}
    assert ClusterWatch().look(standing(9, at(7), at(7), at(7), owners)) == ClusterCondition(
        now_ts=Timestamp(9),
        position="7-0",
        birth=BIRTH,
        nodes=[
            NodeCondition(NodeName("a"), "a:8008", 1, 40, 0),
            NodeCondition(NodeName("b"), "b:8008", 2, 24, 0),
        ],
        unowned=0,
        problems=[],
    )


def test_a_lag_counts_from_when_the_log_grew() -> None:
    """A record of now after an hour of silence makes no lag of an hour."""
    watch, hour = ClusterWatch(), 3_600_000
    assert lags(watch.look(standing(hour, at(7), at(7), at(7)))) == {"a": 0, "b": 0}
    grown = at(hour + 500)
    assert lags(watch.look(standing(hour + 500, grown, at(7), at(7)))) == {"a": 0, "b": 0}
    later = watch.look(standing(hour + 1_000, grown, grown, at(7)))
    assert (lags(later), later.problems) == ({"a": 0, "b": 500}, [])


def test_a_node_that_follows_at_a_distance() -> None:
    """The lag of a node that applies the log late is that distance, while the log goes on."""
    watch = ClusterWatch()
    for now in range(1_000, 6_000, 500):
        condition = watch.look(standing(now, at(now), at(now), at(max(1_000, now - 3_000))))
    assert lags(condition) == {"a": 0, "b": 2_500}
    assert condition.problems == ["node b is 2.5 s behind the log"]


def test_a_node_that_starts() -> None:
    """A node that has not applied anything is not behind."""
    watch = ClusterWatch()
    watch.look(standing(0, at(7), at(7), BEGINNING))
    condition = watch.look(standing(60_000, at(7), at(7), BEGINNING))
    assert (lags(condition), condition.problems) == ({"a": 0, "b": None}, [])


def test_partitions_without_an_owner() -> None:
    """The number of partitions that nobody owns is a problem."""
    owners = {it: A for it in ALL_TO_A if it >= 2}
    condition = ClusterWatch().look(standing(9, at(7), at(7), at(7), owners))
    assert condition.unowned == 2
    assert condition.problems == ["2 of 64 partitions have no owner"]


def test_a_node_that_knows_more_than_the_log() -> None:
    """Where an older copy of the log was promoted, the nodes know what it does not have."""
    condition = ClusterWatch().look(standing(9, at(5), at(5), at(7)))
    assert condition.problems == ["node b has read what the log does not have: data are lost"]


def test_a_log_with_other_data() -> None:
    """After a loss of all data, lags are of the new log."""
    watch = ClusterWatch()
    watch.look(standing(0, at(7), at(7), at(3)))
    after = watch.look(standing(9_000, at(9), at(9), at(8), birth=Birth("second")))
    assert lags(after) == {"a": 0, "b": 0}


def test_a_long_time() -> None:
    """What is remembered is limited: with two looks a second, lags end at a minute."""
    watch = ClusterWatch()
    for now in range(0, 200_000, 500):
        condition = watch.look(standing(now, at(now + 1), at(now + 1), at(1)))
    assert lags(condition) == {"a": 0, "b": 59_500}

"""Which partition a user is in, and which node should own it."""

from collections import Counter

from lamplighter.cluster.log import PARTITIONS, NodeName
from lamplighter.cluster.partitions import ALL_PARTITIONS, heirs_of, partition_of

NODES = frozenset(NodeName(name) for name in "abc")


def test_partitions_of_users() -> None:
    """Users are spread evenly over all partitions, and the place of each never changes."""
    counts = Counter(partition_of(f"@user{number}:demo") for number in range(64_000))
    assert counts.keys() == ALL_PARTITIONS == set(range(PARTITIONS))
    assert min(counts.values()) > 500
    assert [partition_of(it) for it in ("@alice:demo", "@bob:demo", "\udc00")] == [39, 41, 57]


def test_a_node_comes_or_goes() -> None:
    """Each node gets a share. One that comes takes from all, and nothing else moves."""
    before, now = heirs_of(NODES - {NodeName("c")}), heirs_of(NODES)
    assert before.keys() == now.keys() == ALL_PARTITIONS
    assert min(Counter(now.values()).values()) > PARTITIONS // 6
    moved = {it for it in ALL_PARTITIONS if before[it] != now[it]}
    assert {now[it] for it in moved} == {"c"}
    assert {before[it] for it in moved} == {"a", "b"}


def test_no_nodes() -> None:
    """Without a node no partition has an heir."""
    assert heirs_of(frozenset()) == {}

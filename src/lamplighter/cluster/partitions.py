"""Which partition a user is in, and which node should own it."""

import zlib
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from lamplighter.cluster.log import PARTITIONS, NodeName, PartitionId

__all__ = ["ALL_PARTITIONS", "heir_of", "partition_of"]

ALL_PARTITIONS = frozenset(map(PartitionId, range(PARTITIONS)))


def partition_of(name: str) -> PartitionId:
    """Return the partition of a user, or of a server, by its name: the same on every node."""
    return PartitionId(zlib.crc32(name.encode("utf-8", "surrogatepass")) % PARTITIONS)


def heir_of(partition: PartitionId, nodes: Iterable[NodeName]) -> NodeName | None:
    """Return which of *nodes* should own *partition*: the same on every node; None without nodes.

    If a node goes, only its own partitions get another owner; if one comes, only those that it
    gets (rendezvous hashing).
    """
    return max(nodes, key=lambda node: _weight(partition, node), default=None)


@lru_cache(10_000)
def _weight(partition: PartitionId, node: NodeName) -> bytes:
    return blake2b(f"{partition} {node}".encode(), digest_size=8).digest()

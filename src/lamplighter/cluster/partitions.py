"""Which partition a user is in, and which node should own it."""

import zlib
from collections.abc import Mapping
from functools import lru_cache, partial
from hashlib import blake2b

from lamplighter.cluster.log import PARTITIONS, NodeName, PartitionId

__all__ = ["ALL_PARTITIONS", "heirs_of", "partition_of"]

ALL_PARTITIONS = frozenset(map(PartitionId, range(PARTITIONS)))


def partition_of(name: str) -> PartitionId:
    """Return the partition of a user, or of a server, by its name: the same on every node."""
    return PartitionId(zlib.crc32(name.encode("utf-8", "surrogatepass")) % PARTITIONS)


@lru_cache(16)  # every node asks at each renewal, and nodes seldom come or go
def heirs_of(nodes: frozenset[NodeName]) -> Mapping[PartitionId, NodeName]:
    """Return which of *nodes* should own each partition: the same on every node.

    If a node goes, only its own partitions get another owner; if one comes, only those that it
    gets (rendezvous hashing).
    """
    return {it: max(nodes, key=partial(_weight, it)) for it in ALL_PARTITIONS} if nodes else {}


def _weight(partition: PartitionId, node: NodeName) -> bytes:
    return blake2b(f"{partition} {node}".encode(), digest_size=8).digest()

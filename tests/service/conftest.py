"""A cluster of nodes, without a network."""

from collections.abc import AsyncIterator

import pytest

from tests.routing.people import ALICE, BOB
from tests.service.nodes import Cluster


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A cluster of two nodes, each of which owns its share."""
    cluster = Cluster(ALICE, BOB)
    for name in ("a", "b"):
        await cluster.start(name)
    await cluster.passes(3)
    yield cluster
    await cluster.stop()

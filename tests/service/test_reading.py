"""A node that is behind a since token, which another node has given, waits for what it says."""

import asyncio

import pytest

from lamplighter.errors import ClusterUnavailable
from tests.cluster.memory_log import Way
from tests.routing.people import ALICE, BOB
from tests.service.nodes import Cluster


@pytest.mark.parametrize("comes", ["the news", "nothing"])
async def test_a_token_of_another_node(cluster: Cluster, comes: str) -> None:
    """A poll with a token of a node that has read further is answered once this node has read as
    far: with nothing, because the client knows all of it. If it does not come, the poll fails.
    """
    owner = cluster.owner_of(BOB)
    [behind] = [it for it in cluster.nodes.values() if it is not owner]
    before = await owner.core.reader.read_since(ALICE, None)
    behind.log.way = Way.SILENT
    owner.set(BOB, "news")
    await cluster.passes(0)
    told = await owner.core.reader.read_since(ALICE, before.position)
    assert [it.state.status_msg for it in told.updates] == ["news"]
    reading = asyncio.ensure_future(behind.core.reader.read_since(ALICE, told.position))
    await cluster.passes(0.5)
    assert not reading.done()
    if comes == "the news":
        behind.log.way = Way.OPEN
        await cluster.passes(1)
        answer = reading.result()
        assert (tuple(answer.updates), answer.position >= told.position) == ((), True)
    else:
        await cluster.passes(4)
        assert isinstance(reading.exception(), ClusterUnavailable)

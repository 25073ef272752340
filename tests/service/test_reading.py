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


async def test_a_token_that_names_an_earlier_position_for_others(cluster: Cluster) -> None:
    """A node that is behind what the client has seen at another node waits as well where the token
    names an earlier position for it: it tells the newest state again, and no older one.
    """
    owner = cluster.owner_of(BOB)
    [behind] = [it for it in cluster.nodes.values() if it is not owner]
    behind.core.feed.open(ALICE)
    before = behind.core.feed.position
    owner.set(BOB, "old")
    await cluster.passes(0)
    behind.log.way = Way.SILENT
    owner.set(BOB, "new")
    await cluster.passes(0)
    old = behind.core.reader.news_at_once(ALICE, before)
    assert [it.state.status_msg for it in old or ()] == ["old"]
    seen = owner.core.feed.position
    assert behind.core.reader.news_at_once(ALICE, before, seen) is None
    reading = asyncio.ensure_future(behind.core.reader.read_since(ALICE, before))
    await cluster.passes(0.5)
    assert not reading.done()
    behind.log.way = Way.OPEN
    await cluster.passes(1)
    assert [it.state.status_msg for it in reading.result().updates] == ["new"]

"""A reload on all nodes of a cluster, within the process."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from lamplighter.clock import next_turn
from lamplighter.cluster.log import NodeFacts, NodeName
from lamplighter.cluster.parts import Part
from lamplighter.cluster.positions import BEGINNING
from lamplighter.errors import NodesDiffer
from lamplighter.service.reload import ReloadResult
from tests.cluster.memory_log import Way
from tests.routing.callbacks import Thinking, turns
from tests.routing.people import ALICE, BOB, CHARLIE, DORA, state
from tests.service.reloading import NEW, OLD, Nodes, running


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    """Nodes a, b and c."""
    async with running("abc") as nodes:
        yield nodes


async def test_all_nodes(nodes: Nodes) -> None:
    """A reload at one node puts the new modules in use at all, and stops the old ones."""
    assert await nodes.reloads("b") == ReloadResult(["New"])
    assert nodes.in_use() == ["New"] * 3
    assert [it.steps for it in nodes.modules.values()] == [["tries", "begun"]] * 3
    await nodes.works()


async def test_who_may_join_afterwards(nodes: Nodes) -> None:
    """After a reload a node with the new modules may join, and one with the old ones may not."""
    assert (await nodes.may_join(OLD), await nodes.may_join(NEW)) == (True, False)
    await nodes.reloads("a")
    assert (await nodes.may_join(OLD), await nodes.may_join(NEW)) == (False, True)


async def test_what_is_told_afterwards(nodes: Nodes) -> None:
    """After a reload a node with the old modules is told which they are, and which are new."""
    await nodes.reloads("b")
    old = NodeFacts("x", OLD, {"Old": (Part("Old"),)})
    with pytest.raises(NodesDiffer, match=r": New is missing; Old is extra$"):
        await nodes.cluster.server.log().join(NodeName("joins"), old, BEGINNING)


async def test_a_lease_lost_afterwards(nodes: Nodes) -> None:
    """A node that loses its lease after a reload joins again with the new modules."""
    await nodes.reloads("a")
    b = nodes.cluster.nodes["b"]
    b.log.way = Way.CLOSED
    await nodes.cluster.passes(5)
    b.log.way = Way.OPEN
    await nodes.cluster.passes(5)
    await nodes.works()
    assert len((await b.log.standing()).nodes) == 3


async def test_one_that_cannot(nodes: Nodes) -> None:
    """If one node cannot use them, no node does; the result names the node and its problem."""
    nodes.modules["c"].problem = "modules[0].config: desk is missing"
    problem = "node c: modules[0].config: desk is missing"
    assert await nodes.reloads("a") == ReloadResult(["Old"], problem)
    assert nodes.in_use() == ["Old"] * 3
    steps = [it.steps for it in nodes.modules.values()]
    assert steps == [["tries", "discarded"], ["tries", "discarded"], ["tries"]]
    assert await nodes.may_join(OLD)
    nodes.modules["c"].problem = None
    assert await nodes.reloads("a") == ReloadResult(["New"])
    assert nodes.in_use() == ["New"] * 3


async def test_one_that_does_not_answer(nodes: Nodes) -> None:
    """A node that does not answer within a minute keeps all with the old modules."""
    nodes.modules["b"].tried.clear()
    result = await nodes.reloads("a", 61)
    assert result == ReloadResult(["Old"], "node b does not answer")
    nodes.modules["b"].tried.set()
    await nodes.cluster.passes(1)
    assert nodes.in_use() == ["Old"] * 3
    assert [it.steps for it in nodes.modules.values()] == [["tries", "discarded"]] * 3
    await nodes.works()


async def test_one_that_dies(nodes: Nodes) -> None:
    """If a node dies before it has answered, the others do without it."""
    nodes.modules["b"].tried.clear()
    reloading = asyncio.ensure_future(nodes.modules["a"].reload())
    await nodes.cluster.passes(1)
    nodes.cluster.kill("b")
    await nodes.cluster.passes(6)
    assert await reloading == ReloadResult(["New"])
    assert nodes.in_use() == ["New"] * 2


async def test_one_that_joins(nodes: Nodes) -> None:
    """A node that joins in the middle keeps all with the old modules, and the next reload works."""
    nodes.modules["b"].tried.clear()
    reloading = asyncio.ensure_future(nodes.modules["a"].reload())
    await nodes.cluster.passes(1)
    await nodes.start("d")
    await nodes.cluster.passes(1)
    assert await reloading == ReloadResult(["Old"], "node d has joined meanwhile")
    nodes.modules["b"].tried.set()
    await nodes.cluster.passes(1)
    assert nodes.in_use() == ["Old"] * 4
    assert await nodes.reloads("a") == ReloadResult(["New"])
    assert nodes.in_use() == ["New"] * 4


async def test_two_at_once(nodes: Nodes) -> None:
    """Of two reloads at one time, the first in the log is carried out, the other one refused."""
    both = [asyncio.ensure_future(nodes.modules[it].reload()) for it in "ab"]
    await nodes.cluster.passes(2)
    problem = "node a reloads the modules of all nodes already"
    assert await both[0] == ReloadResult(["New"])
    assert (await both[1]).problem == problem
    assert nodes.in_use() == ["New"] * 3


async def test_who_does_not_wait(nodes: Nodes) -> None:
    """A reload whose client goes away is carried out."""
    reloading = asyncio.ensure_future(nodes.modules["a"].reload())
    await turns(20)
    reloading.cancel()
    await nodes.cluster.passes(1)
    assert reloading.cancelled()
    assert nodes.in_use() == ["New"] * 3


async def test_an_asker_that_dies() -> None:
    """If the asker dies, whenever that is, all others use the same modules, and go on."""
    for at in range(0, 40, 2):
        async with running("abc") as nodes:
            reloading = asyncio.ensure_future(nodes.modules["a"].reload())
            for _ in range(at):
                await next_turn()
            nodes.cluster.kill("a")
            await nodes.cluster.passes(8)
            assert len(set(nodes.in_use())) == 1
            await nodes.works()
            used = nodes.in_use()[0]
            assert (await nodes.may_join(OLD), await nodes.may_join(NEW)) == (
                used == "Old",
                used == "New",
            )
            assert await nodes.reloads("b") == ReloadResult(["New"])
            reloading.cancel()


async def test_one_instant() -> None:
    """In the order of the log the old modules have the last word before the new ones the first."""
    for at in range(0, 40, 2):
        async with running("ab") as nodes:
            reloading = asyncio.ensure_future(nodes.modules["a"].reload())
            reminding: list[asyncio.Future[None]] = []
            for turn in range(60):
                if turn >= at and turn % 2:
                    for name, user_id in (("a", ALICE), ("b", BOB)):
                        node = nodes.cluster.nodes[name]
                        node.set(user_id, f"{turn}")
                        reminder = node.core.reminders.remind([state(user_id)])
                        reminding.append(asyncio.ensure_future(reminder))
                await next_turn()
            await nodes.cluster.passes(2)
            assert await reloading == ReloadResult(["New"])
            await asyncio.gather(*reminding)
            await nodes.works()
            words = await nodes.words()
            before = words.index("|")
            assert set(words[:before]) <= {"Old"}
            assert set(words[before + 1 :]) == {"New"}


async def test_late_answers(nodes: Nodes) -> None:
    """What an old module answers after a reload is delivered on no node."""
    thinking = Thinking()
    for modules in nodes.modules.values():
        modules.old = thinking
    nodes.cluster.owner_of(BOB).set(BOB, "hello")
    a = nodes.cluster.nodes["a"]
    owner = nodes.cluster.owner_of(ALICE)
    reminding = asyncio.ensure_future(owner.core.reminders.remind([state(ALICE)]))
    await nodes.cluster.passes(1)
    assert len(thinking.asked) == 2
    assert await nodes.reloads("a") == ReloadResult(["New"])
    for asked in list(thinking.asked):
        thinking.answer({CHARLIE: set(asked), DORA: set(asked)})
    await nodes.cluster.passes(1)
    await reminding
    assert "Old" not in await nodes.words()
    assert a.sees(CHARLIE, BOB) == ("nothing", None)


async def test_a_node_that_is_cut_off(nodes: Nodes) -> None:
    """A node that was cut off during a reload ends: a restart takes the modules."""
    b = nodes.cluster.nodes["b"]
    b.log.way = Way.CLOSED
    await nodes.cluster.passes(5)
    assert await nodes.reloads("a") == ReloadResult(["New"])
    b.log.way = Way.OPEN
    await nodes.cluster.passes(3)
    assert [str(it) for it in b.ended] == [
        "the other nodes have replaced their modules while this node was away: start it again"
        " with the same modules"
    ]


async def test_a_node_that_never_learns(nodes: Nodes) -> None:
    """A node that differs since the log has lost what the others agreed on ends, too."""
    b = nodes.cluster.nodes["b"]
    b.log.way = Way.CLOSED
    await nodes.cluster.passes(5)
    assert await nodes.reloads("a") == ReloadResult(["New"])
    nodes.cluster.server.lose_data()
    await nodes.cluster.passes(3)
    b.log.way = Way.OPEN
    await nodes.cluster.passes(8)
    assert b.ended == []
    await nodes.cluster.passes(5)
    assert [type(it) for it in b.ended] == [NodesDiffer]


async def test_a_log_that_does_not_answer() -> None:
    """Whenever the asker is cut off, in the end all living nodes have the same modules."""
    for at in range(0, 40, 2):
        for way in (Way.CLOSED, Way.ANSWERS_LOST):
            async with running("ab") as nodes:
                reloading = asyncio.ensure_future(nodes.modules["a"].reload())
                for _ in range(at):
                    await next_turn()
                a = nodes.cluster.nodes["a"]
                a.log.way = way
                await nodes.cluster.passes(5)
                a.log.way = Way.OPEN
                await nodes.cluster.passes(5)
                assert len(set(nodes.in_use())) == 1 or a.ended
                result = await reloading
                assert a.ended or (result.problem is None) == (nodes.in_use() == ["New", "New"])
                if not a.ended:
                    await nodes.works()


async def test_an_asker_that_stays_cut_off() -> None:
    """Whenever the asker is cut off for good, whoever has asked it for a reload gets an answer."""
    for at in range(0, 40, 2):
        async with running("ab") as nodes:
            reloading = asyncio.ensure_future(nodes.modules["a"].reload())
            for _ in range(at):
                await next_turn()
            nodes.cluster.nodes["a"].log.way = Way.ANSWERS_LOST
            await nodes.cluster.passes(15)
            assert reloading.done()
            nodes.cluster.nodes["a"].log.way = Way.OPEN
            await nodes.cluster.passes(5)
            assert len(set(nodes.in_use())) == 1

"""Nodes of one cluster in front of a homeserver: what it says to one holds at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.turns import turns_until_idle
from tests.cluster.memory_log import Way
from tests.routing.callbacks import turns
from tests.scenarios.fronts import Fronts, at, fronts_on

pytestmark = pytest.mark.processes

LOBBY, SIDE = "!lobby:demo", "!side:demo"
_MEMBERS = f"/_matrix/client/v3/rooms/{quote(LOBBY)}/joined_members"


@pytest.fixture
async def fronts(postgres_url: str, tmp_path: Path) -> AsyncIterator[Fronts]:
    """Two nodes in front of one homeserver."""
    async with fronts_on(postgres_url, tmp_path, "a", "b") as running:
        yield running


async def is_hidden(user: Client, viewer: Client) -> None:
    """Check that the viewer may not see the user."""
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await viewer.status_of(user)


@pytest.mark.parametrize("first", ["a", "b"])
async def test_a_transaction_at_one_node(fronts: Fronts, first: str) -> None:
    """A join that the homeserver tells one node makes members visible to each other on both nodes;
    a leave that it tells the other ends that on both.
    """
    one = fronts.nodes[first]
    [other] = [it for name, it in fronts.nodes.items() if name != first]
    alice, bob = fronts.person("alice", one), fronts.person("bob", other)
    carol = fronts.person("carol", other)
    for client in (alice, carol):
        fronts.small.join(client.user_id, LOBBY)
        await client.sync()
    await bob.sync()
    await bob.set_status("online", "brb")
    await fronts.passes(1)
    before = fronts.small.position
    fronts.small.join(bob.user_id, LOBBY)
    await fronts.passes(1)
    for viewer in (alice, carol):
        await is_hidden(bob, viewer)
    await fronts.transaction(one, before)
    for viewer in (alice, carol):
        assert (await viewer.status_of(bob))["status_msg"] == "brb"
        await viewer.sync()
        assert viewer.reads(bob) == "brb"
    before = fronts.small.position
    fronts.small.leave(bob.user_id, LOBBY)
    await fronts.transaction(other, before)
    for viewer in (alice, carol):
        await is_hidden(bob, viewer)
        await viewer.sync()
        assert not viewer.sees(bob)


async def test_a_log_out_through_one_node(fronts: Fronts) -> None:
    """A log-out that passes through one node holds at the other before that has heard of it: the
    device is told nothing there.
    """
    one, other = fronts.nodes.values()
    alice, bob = fronts.person("alice", one), fronts.person("bob", other)
    for client in (alice, bob):
        fronts.small.join(client.user_id, LOBBY)
        await client.sync()
    await fronts.passes(1)
    await bob.status_of(alice)
    fronts.logs["b"].way = Way.SILENT
    await Client(one.http, bob.user_id, bob.device_id, bob.access_token).log_out()
    asking = asyncio.ensure_future(bob.status_of(alice))
    await turns()
    fronts.logs["b"].way = Way.OPEN
    await fronts.passes(1)
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await asking


async def together(fronts: Fronts) -> tuple[Client, Client]:
    """Return alice and bob, who share a room; alice has seen at the node a that bob is online."""
    alice, bob = (fronts.person(name, fronts.nodes["a"]) for name in ("alice", "bob"))
    for client in (bob, alice):
        fronts.small.join(client.user_id, LOBBY)
        await client.sync()
    await bob.set_status("online", "brb")
    await fronts.passes(1)
    while (await alice.sync()).presence:
        pass
    assert alice.reads(bob) == "brb"
    return alice, bob


async def test_a_join_of_a_room_that_nobody_knows(fronts: Fronts) -> None:
    """Two users meet in a room that is new to all nodes; the homeserver tells a node to which
    neither of them has come.
    """
    alice, bob = (fronts.person(name, fronts.nodes["a"]) for name in ("alice", "bob"))
    for client, room_id in ((bob, LOBBY), (alice, "!den:demo")):
        fronts.small.join(client.user_id, room_id)
        await client.sync()
    await bob.set_status("online", "brb")
    before = fronts.small.position
    for client in (alice, bob):
        fronts.small.join(client.user_id, SIDE)
    await fronts.transaction(fronts.nodes["b"], before)
    assert (await alice.status_of(bob))["status_msg"] == "brb"


async def test_a_transaction_is_answered_once_all_nodes_know(fronts: Fronts) -> None:
    """A transaction is answered when the homeserver has said what is true, and the other nodes were
    told: a node that dies then takes no hint with it. A slow homeserver has its answer after two
    seconds.
    """
    alice, bob = await together(fronts)
    before = fronts.small.position
    fronts.small.leave(bob.user_id, LOBBY)
    a, b = fronts.nodes.values()
    held = fronts.small.held[_MEMBERS] = asyncio.Event()
    answers = [fronts.begin_transaction(b, before) for _ in range(2)]
    await turns_until_idle()
    assert [it.answered for it in answers] == [False, False]
    fronts.clock.advance(seconds=2)
    await fronts.passes(0)
    assert [(await it.response()).status for it in answers] == [200, 200]
    answer = fronts.begin_transaction(b, before)
    held.set()
    assert (await answer.response()).status == 200
    fronts.cut_off("b")
    await is_hidden(bob, at(alice, a))


async def test_a_start_after_the_loss_of_the_log(fronts: Fronts) -> None:
    """A node that starts when the log has lost its data tells clients that somebody has left the
    room, and that somebody has joined: both was told before, and the database has it.
    """
    alice, bob = await together(fronts)
    carol = fronts.person("carol", fronts.nodes["b"])
    await carol.set_status("online", "hello")
    before = fronts.small.position
    fronts.small.leave(bob.user_id, LOBBY)
    fronts.small.join(carol.user_id, LOBBY)
    await fronts.transaction(fronts.nodes["a"], before)
    fronts.log_server.lose_data()
    for name in ("a", "b"):
        fronts.cut_off(name)
    node = await fronts.start("c")
    await fronts.passes(1)
    alice = at(alice, node)
    assert (alice.sees(bob), alice.sees(carol)) == (True, False)
    await alice.sync()
    assert (alice.sees(bob), alice.sees(carol)) == (False, True)

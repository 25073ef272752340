"""What is written at one node of a cluster holds at the other."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer
from tests.cluster.memory_log import LogServer

pytestmark = pytest.mark.processes

CONFIG = """
server_name: demo
rate_limits: off
database: URL
cluster: {node: NODE, bus: "redis://127.0.0.1:1/0"}
"""


@pytest.fixture
def url(postgres_url: str) -> str:
    """The URL of the database of both nodes."""
    return postgres_url


@asynccontextmanager
async def two_nodes(url: str, folder: Path) -> AsyncIterator[Sequence[InMemoryServer]]:
    """Run two nodes over the database at *url*."""
    clock = FakeClock()
    log_server = LogServer(clock)
    async with AsyncExitStack() as until:
        nodes = []
        for name in "ab":
            text = CONFIG.replace("NODE", name).replace("URL", url)
            config = parse_config_text(text, folder / "x.yaml")
            node = InMemoryServer(config, [], folder / name, clock=clock, log=log_server.log())
            await node.start()
            until.push_async_callback(node.stop)
            nodes.append(node)
        await passes(nodes, 1)
        yield nodes


async def passes(nodes: Sequence[InMemoryServer], seconds: float) -> None:
    """Let time pass, with all that follows on both nodes."""
    for _ in range(int(seconds * 4)):
        for node in nodes:
            await node.settled()
        nodes[0].clock.advance(milliseconds=250)
    for node in nodes:
        await node.settled()


def goes_to(node: InMemoryServer, client: Client) -> None:
    """Let a client send its requests to another node."""
    client.reconnect(node.http)


async def test_a_room_over_two_nodes(url: str, tmp_path: Path) -> None:
    """A join at one node shows the member to members at the other, and a message wakes them; a
    leave hides the member. A client goes on at the other node with its token.
    """
    async with two_nodes(url, tmp_path) as nodes:
        a, b = nodes
        alice, bob = await a.register("alice"), await b.register("bob")
        room = await alice.create_room()
        await alice.sync()
        await bob.sync()
        await bob.set_status("online", "brb")
        await passes(nodes, 1)
        poll = await alice.polls()
        await bob.join(room)
        await passes(nodes, 1)
        await poll.answer()
        while alice.reads(bob) != "brb":
            await alice.sync()
        poll = await alice.polls()
        await bob.send(room, "hello")
        await passes(nodes, 1)
        told = (await poll.answer()).joined[room]["timeline"]["events"]
        assert [it["content"].get("body") for it in told] == ["hello"]
        goes_to(b, alice)
        assert (await alice.sync()).joined == {}
        await bob.leave(room)
        await passes(nodes, 1)
        await alice.sync()
        assert not alice.sees(bob)


async def test_a_log_out_over_two_nodes(url: str, tmp_path: Path) -> None:
    """A log-out at one node ends the poll of the device at the other, and the device's presence."""
    async with two_nodes(url, tmp_path) as nodes:
        a, b = nodes
        alice, bob = await a.register("alice"), await b.register("bob")
        room = await alice.create_room()
        await bob.join(room)
        await bob.first_sync()
        await alice.first_sync()
        await passes(nodes, 1)
        await bob.sync()
        poll = await bob.polls()
        await poll.waiting()
        await alice.sync()
        assert alice.sees(bob, "online")
        elsewhere = Client(a.http, bob.user_id, bob.device_id, bob.access_token)
        await elsewhere.log_out()
        await passes(nodes, 1)
        with pytest.raises(RequestFailed) as refused:
            await poll.answer()
        assert refused.value.errcode == "M_UNKNOWN_TOKEN"
        await alice.sync()
        assert alice.sees(bob, "offline")

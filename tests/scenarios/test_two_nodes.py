"""What is written at one node of a cluster holds at the other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.postgresql import PostgresServer
from tests.routing.callbacks import turns

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
            node = one_node(name, url, folder, clock, log_server.log())
            await node.start()
            until.push_async_callback(node.stop)
            nodes.append(node)
        await passes(nodes, 1)
        yield nodes


def one_node(name: str, url: str, folder: Path, clock: FakeClock, log: MemoryLog) -> InMemoryServer:
    """Return a node that has not started."""
    text = CONFIG.replace("NODE", name).replace("URL", url)
    config = parse_config_text(text, folder / "x.yaml")
    return InMemoryServer(config, [], folder / name, clock=clock, log=log)


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


async def test_a_status_after_a_log_out(url: str, tmp_path: Path) -> None:
    """A log-out at one node holds at the other before that has heard of it: a status that the
    device sets there is refused, and nobody is told of it.
    """
    clock = FakeClock()
    log_server = LogServer(clock)
    logs = {name: log_server.log() for name in "ab"}
    a, b = (one_node(name, url, tmp_path, clock, log) for name, log in logs.items())
    async with AsyncExitStack() as until:
        for node in (a, b):
            await node.start()
            until.push_async_callback(node.stop)
        await passes([a, b], 1)
        alice, bob = await a.register("alice"), await b.register("bob")
        await bob.join(await alice.create_room())
        await bob.set_status("online", "here")
        logs["b"].way = Way.SILENT
        elsewhere = Client(a.http, bob.user_id, bob.device_id, bob.access_token)
        await elsewhere.log_out()
        clock.advance(milliseconds=20)
        setting = asyncio.ensure_future(bob.set_status("online", "after the log-out"))
        await turns()
        logs["b"].way = Way.OPEN
        await passes([a, b], 1)
        with pytest.raises(RequestFailed) as refused:
            await setting
        assert refused.value.errcode == "M_UNKNOWN_TOKEN"
        await alice.first_sync()
        assert (alice.sees(bob, "offline"), alice.reads(bob)) == (True, "here")


async def test_a_leave_right_before_a_start(url: str, tmp_path: Path) -> None:
    """A node that starts knows of a leave of some seconds ago: a client with a token from before it
    shows the user no more.
    """
    clock = FakeClock()
    log_server = LogServer(clock)
    a, b = (one_node(name, url, tmp_path, clock, log_server.log()) for name in "ab")
    async with AsyncExitStack() as until:
        await a.start()
        until.push_async_callback(a.stop)
        await passes([a], 1)
        alice, bob = await a.register("alice"), await a.register("bob")
        room = await alice.create_room()
        await bob.join(room)
        await bob.set_status("online", "brb")
        await alice.sync()
        assert alice.reads(bob) == "brb"
        await bob.leave(room)
        await passes([a], 1)
        await b.start()
        until.push_async_callback(b.stop)
        await passes([a, b], 1)
        goes_to(b, alice)
        await alice.sync()
        assert not alice.sees(bob)


async def test_a_status_while_postgresql_is_away(
    url: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """The first status after PostgreSQL has gone is refused at any node, and nobody is told."""
    async with two_nodes(url, tmp_path) as nodes:
        a, b = nodes
        alice, bob = await a.register("alice"), await b.register("bob")
        await bob.join(await alice.create_room())
        await bob.set_status("online", "before")
        await alice.sync()
        assert alice.reads(bob) == "before"
        await passes(nodes, 2)
        status = {"presence": "online", "status_msg": "refused"}
        with postgres.stopped():
            for node in (a, b):
                goes_to(node, bob)
                answer = await bob.request("PUT", f"/presence/{bob.user_id}/status", status)
                assert answer.status == 503
            seen = await alice.status_of(bob)
        assert seen["status_msg"] == "before"
        await passes(nodes, 2)
        await bob.set_status("online", "after")
        assert (await alice.status_of(bob))["status_msg"] == "after"

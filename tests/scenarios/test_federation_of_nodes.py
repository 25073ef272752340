"""Three nodes that are one server, and another server: who sends, and where it may send to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from lamplighter.cluster.log import Log
from lamplighter.config import parse_config_text
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.server import InMemoryServer
from lamplighter.errors import RemoteUnreachable
from lamplighter.federation.discovery import Target
from lamplighter.federation.transport import Answer
from lamplighter.modules.loader import module_entries
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.scenarios.federated_worlds import ONE, TWO, Network, Setup, Wire
from tests.web.clients import client_of

pytestmark = pytest.mark.processes

ALICE: Final = f"@alice:{ONE}"
BOB: Final = f"@bob:{TWO}"
CAROL: Final = f"@carol:{TWO}"
MUTUAL: Final = {ALICE: [BOB, CAROL], BOB: [ALICE], CAROL: [ALICE]}
_OF_NODE: Final = """
database: URL
cluster: {node: NODE, bus: "redis://127.0.0.1:1/0"}
"""


class NodeWire(Wire):
    """One node's end of the network: it notes who sends."""

    def __init__(self, network: Network, node: str, sent_by: list[str]) -> None:
        super().__init__(network, TWO)
        self._node, self._sent_by = node, sent_by
        #: Whether the node has lost its way to everybody.
        self.is_cut = False

    async def exchange(
        self,
        target: Target,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int,
    ) -> Answer:
        if self.is_cut:
            raise RemoteUnreachable("the network is gone")
        if method == "PUT":
            self._sent_by.append(self._node)
        return await super().exchange(target, method, path, headers=headers, body=body, limit=limit)


@dataclass
class Servers:
    """Alice's server, which is single, and bob's, which is three nodes."""

    clock: FakeClock
    network: Network
    single: InMemoryServer
    nodes: dict[str, InMemoryServer] = field(default_factory=dict)
    doors: dict[str, HttpClient] = field(default_factory=dict)
    #: The node of each transaction that bob's server has sent.
    sent_by: list[str] = field(default_factory=list)
    wires: dict[str, NodeWire] = field(default_factory=dict)
    logs: dict[str, MemoryLog] = field(default_factory=dict)

    def cut_off(self, name: str) -> None:
        """Let a node die, as far as anybody can see."""
        self.wires[name].is_cut = True
        self.logs[name].way = Way.CLOSED

    def pause_of(self, name: str) -> timedelta:
        """Return for how long a node does not try to send to alice's server."""
        federation = self.nodes[name].lamplighter.federation
        assert federation is not None
        [destination] = federation.destinations()
        return timedelta(milliseconds=(destination.retry_ts or 0) - self.clock.now())

    async def passes(self, seconds: float) -> None:
        """Let time pass, with all that follows everywhere."""
        for _ in range(int(seconds * 4)):
            await self.settled()
            self.clock.advance(milliseconds=250)
        await self.settled()

    async def settled(self) -> None:
        """Return once everybody has done what there was to do."""
        while True:
            begun = self.network.begun
            for server in (self.single, *self.nodes.values()):
                await server.settled()
            if begun == self.network.begun == self.network.ended:
                return


@pytest.fixture
async def servers(postgres_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    """Both servers."""
    async with _servers(postgres_url, tmp_path) as running:
        yield running


@asynccontextmanager
async def _servers(url: str, folder: Path) -> AsyncIterator[Servers]:
    clock, network = FakeClock(), Network()
    log_server = LogServer(clock)
    text = Setup(ONE, pushes=MUTUAL, names=MUTUAL).config()
    single = _server(text, folder, clock, Wire(network, ONE), None)
    servers = Servers(clock, network, single)
    try:
        network.servers[ONE] = await _door(single)
        text = Setup(TWO, pushes=MUTUAL, names=MUTUAL).config() + _OF_NODE.replace("URL", url)
        for name in "abc":
            wire = servers.wires[name] = NodeWire(network, name, servers.sent_by)
            log = servers.logs[name] = log_server.log()
            node = _server(text.replace("NODE", name), folder, clock, wire, log)
            servers.doors[name] = network.servers[TWO] = await _door(node)
            servers.nodes[name] = node
        await servers.passes(3)
        yield servers
    finally:
        for server in (single, *servers.nodes.values()):
            await server.stop()


def _server(
    text: str, folder: Path, clock: FakeClock, wire: Wire, log: Log | None
) -> InMemoryServer:
    config = parse_config_text(text, folder / "memory.yaml")
    modules, data_dir = module_entries(config), folder / config.server_name
    return InMemoryServer(config, modules, data_dir, clock=clock, transport=wire, log=log)


async def _door(server: InMemoryServer) -> HttpClient:
    """Start a server; return where other servers come to."""
    await server.start()
    running = server.lamplighter
    assert running.federation is not None
    return client_of(running.federation.application(running.core.federated, running.directory))


async def test_one_node_sends(servers: Servers) -> None:
    """Whatever node a status is set at, one node sends it, once, and the same node each time."""
    alice = await servers.single.register("alice")
    bob = await servers.nodes["a"].register("bob")
    for name, node in servers.nodes.items():
        bob.reconnect(node.http)
        await bob.set_status("online", f"at {name}")
        await servers.passes(1)
        assert (await alice.status_of(bob))["status_msg"] == f"at {name}"
    sent = [put.messages for put in servers.network.arrived(TWO)]
    assert sent == [{BOB: f"at {name}"} for name in "abc"]
    assert len(set(servers.sent_by)) == 1


async def test_the_sender_leaves(servers: Servers) -> None:
    """When the node that sends leaves, another one sends from then on."""
    alice = await servers.single.register("alice")
    bob = await servers.nodes["a"].register("bob")
    await bob.set_status("online", "before")
    await servers.passes(1)
    [sender] = servers.sent_by
    await servers.nodes.pop(sender).stop()
    await servers.passes(1)
    bob.reconnect(next(iter(servers.nodes.values())).http)
    await bob.set_status("online", "after")
    await servers.passes(1)
    assert (await alice.status_of(bob))["status_msg"] == "after"
    assert servers.sent_by[-1] in servers.nodes


@pytest.mark.parametrize("dies", [True, False], ids=["dies", "leaves"])
async def test_what_the_sender_had_not_sent(servers: Servers, dies: bool) -> None:
    """What waits for a server that is down is sent by another node when the sender dies or leaves;
    a later change is not followed by an earlier one.
    """
    alice = await servers.single.register("alice")
    bob = await servers.nodes["a"].register("bob")
    carol = await servers.nodes["a"].register("carol")
    for person in (bob, carol):
        await person.set_status("offline", "before")
    await servers.passes(1)
    [sender] = set(servers.sent_by)
    servers.network.down.add(ONE)
    for person in (bob, carol):
        await person.set_status("offline", "while it was down")
    await servers.passes(10)
    if dies:
        servers.cut_off(sender)
    else:
        await servers.nodes.pop(sender).stop()
    await servers.passes(6)
    carol.reconnect(next(it.http for name, it in servers.nodes.items() if name != sender))
    await carol.set_status("offline", "later")
    await servers.passes(1)
    servers.network.down.clear()
    await servers.passes(40)
    told = [(await alice.status_of(it)).get("status_msg") for it in (bob, carol)]
    assert told == ["while it was down", "later"]
    if dies:
        servers.wires[sender].is_cut = False
        servers.logs[sender].way = Way.OPEN
        await servers.passes(60)
        told = [(await alice.status_of(it)).get("status_msg") for it in (bob, carol)]
        assert told == ["while it was down", "later"]


async def test_a_server_that_works_again(servers: Servers) -> None:
    """A server that was down, and sends a request to any node, is tried again soon."""
    alice = await servers.single.register("alice")
    bob = await servers.nodes["a"].register("bob")
    servers.network.down.add(ONE)
    await bob.set_status("online", "while it was down")
    await servers.passes(1)
    sender = servers.sent_by[0]
    while servers.pause_of(sender) <= timedelta(seconds=40):
        await servers.passes(1)
    servers.network.down.clear()
    servers.network.servers[TWO] = next(it for name, it in servers.doors.items() if name != sender)
    await alice.set_status("online", "it works again")
    await servers.passes(1)
    assert servers.pause_of(sender) <= timedelta(seconds=30)


async def test_any_node_takes_in(servers: Servers) -> None:
    """What the other server sends to one node is seen at all nodes."""
    alice = await servers.single.register("alice")
    bob = await servers.nodes["a"].register("bob")
    for name, door in servers.doors.items():
        servers.network.servers[TWO] = door
        await alice.set_status("online", f"to {name}")
        await servers.passes(1)
        for node in servers.nodes.values():
            bob.reconnect(node.http)
            assert (await bob.status_of(alice))["status_msg"] == f"to {name}"

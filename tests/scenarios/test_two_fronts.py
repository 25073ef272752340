"""Two nodes of one cluster in front of a homeserver: what it says to one holds at both."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.server import InMemoryServer
from lamplighter.ids import DeviceId, UserId
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver
from tests.routing.callbacks import turns

pytestmark = pytest.mark.processes

LOBBY = "!lobby:demo"
CONFIG = """
server_name: demo
rate_limits: off
database: URL
homeserver: {url: 'http://127.0.0.1:8018', registration: registration.yaml}
cluster: {node: NODE, bus: "redis://127.0.0.1:1/0"}
"""


@dataclass
class Fronts:
    """The homeserver, and the nodes in front of it."""

    small: SmallHomeserver
    nodes: Sequence[InMemoryServer]
    #: Each node's way to the log.
    logs: Sequence[MemoryLog]
    told: int = 0

    def person(self, name: str, node: InMemoryServer) -> Client:
        """Return a client of somebody who has logged in at the homeserver, at a node."""
        token = self.small.log_in(name)
        return Client(node.http, UserId(f"@{name}:demo"), DeviceId("PHONE"), token)

    async def transaction(self, node: InMemoryServer, after: int) -> None:
        """Let the homeserver tell a node what has happened since."""
        self.told += 1
        path = f"/_matrix/app/v1/transactions/{self.told}"
        content = self.small.transaction(after)
        answer = await node.http.request("PUT", path, json=content, token=HS_TOKEN)
        assert answer.status == 200
        await self.passes(1)

    async def passes(self, seconds: float) -> None:
        """Let time pass, with all that follows on both nodes."""
        for _ in range(int(seconds * 4)):
            for node in self.nodes:
                await node.settled()
            self.nodes[0].clock.advance(milliseconds=250)
        for node in self.nodes:
            await node.settled()


@pytest.fixture
async def fronts(postgres_url: str, tmp_path: Path) -> AsyncIterator[Fronts]:
    """Two nodes in front of one homeserver."""
    async with _fronts(postgres_url, tmp_path) as running:
        yield running


@asynccontextmanager
async def _fronts(url: str, folder: Path) -> AsyncIterator[Fronts]:
    clock = FakeClock()
    log_server = LogServer(clock)
    small = SmallHomeserver(clock)
    behind = HttpServer(small, clock, MATRIX)
    registration = f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}"
    (folder / "registration.yaml").write_text(registration)
    nodes: list[InMemoryServer] = []
    logs = [log_server.log() for _ in "ab"]
    async with AsyncExitStack() as until:
        until.callback(behind.abort)
        for name, log in zip("ab", logs, strict=True):
            text = CONFIG.replace("NODE", name).replace("URL", url)
            node = InMemoryServer(
                parse_config_text(text, folder / "lamplighter.yaml"),
                [],
                folder / name,
                clock=clock,
                connect=Pipe(behind),
                log=log,
            )
            await node.start()
            until.push_async_callback(node.stop)
            nodes.append(node)
        fronts = Fronts(small, nodes, logs)
        await fronts.passes(1)
        yield fronts


async def is_hidden(user: Client, viewer: Client) -> None:
    """Check that the viewer may not see the user."""
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await viewer.status_of(user)


@pytest.mark.parametrize("at", [0, 1], ids=["a", "b"])
async def test_a_transaction_at_one_node(fronts: Fronts, at: int) -> None:
    """A join that the homeserver tells one node makes members visible to each other on both nodes;
    a leave that it tells the other ends that on both.
    """
    one, other = fronts.nodes[at], fronts.nodes[1 - at]
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
    one, other = fronts.nodes
    alice, bob = fronts.person("alice", one), fronts.person("bob", other)
    for client in (alice, bob):
        fronts.small.join(client.user_id, LOBBY)
        await client.sync()
    await fronts.passes(1)
    await bob.status_of(alice)
    fronts.logs[1].way = Way.SILENT
    await Client(one.http, bob.user_id, bob.device_id, bob.access_token).log_out()
    asking = asyncio.ensure_future(bob.status_of(alice))
    await turns()
    fronts.logs[1].way = Way.OPEN
    await fronts.passes(1)
    with pytest.raises(RequestFailed, match="M_UNKNOWN_TOKEN"):
        await asking

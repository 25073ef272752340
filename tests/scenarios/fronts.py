"""Nodes of one cluster in front of a homeserver, within the process, on one PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lamplighter.config import parse_config_text
from lamplighter.devtools.client import Client
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import PendingRequest
from lamplighter.devtools.server import InMemoryServer
from lamplighter.ids import DeviceId, UserId
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.cluster.memory_log import LogServer, MemoryLog, Way
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver

__all__ = ["Fronts", "at", "fronts_on"]

_CONFIG: Final = """
server_name: demo
rate_limits: off
database: URL
homeserver: {url: 'http://127.0.0.1:8018', registration: registration.yaml}
cluster: {node: NODE, bus: "redis://127.0.0.1:1/0"}
"""


@dataclass
class Fronts:
    """The homeserver, and the nodes in front of it."""

    url: str
    folder: Path
    clock: FakeClock
    small: SmallHomeserver
    log_server: LogServer
    pipe: Pipe
    until: AsyncExitStack
    nodes: dict[str, InMemoryServer] = field(default_factory=dict)
    #: Each node's way to the log.
    logs: dict[str, MemoryLog] = field(default_factory=dict)
    told: int = 0

    async def start(self, name: str) -> InMemoryServer:
        """Start a node; it owns its share once a second has passed."""
        text = _CONFIG.replace("NODE", name).replace("URL", self.url)
        log = self.logs[name] = self.log_server.log()
        node = InMemoryServer(
            parse_config_text(text, self.folder / "lamplighter.yaml"),
            [],
            self.folder / name,
            clock=self.clock,
            connect=self.pipe,
            log=log,
        )
        await node.start()
        self.until.push_async_callback(node.stop)
        self.nodes[name] = node
        return node

    def cut_off(self, name: str) -> None:
        """Let a node reach the others no more, for good: nobody comes to it."""
        self.logs[name].way = Way.SILENT
        del self.nodes[name]

    def person(self, name: str, node: InMemoryServer) -> Client:
        """Return a client of somebody who has logged in at the homeserver, at a node."""
        token = self.small.log_in(name)
        return Client(node.http, UserId(f"@{name}:demo"), DeviceId("PHONE"), token)

    async def transaction(self, node: InMemoryServer, after: int) -> None:
        """Let the homeserver tell a node what has happened since; no time passes."""
        answer = await self.begin_transaction(node, after).response()
        assert answer.status == 200
        await self._settled()

    def begin_transaction(self, node: InMemoryServer, after: int) -> PendingRequest:
        """Send what the homeserver tells a node."""
        self.told += 1
        path = f"/_matrix/app/v1/transactions/{self.told}"
        return node.http.begin("PUT", path, json=self.small.transaction(after), token=HS_TOKEN)

    async def passes(self, seconds: float) -> None:
        """Let time pass, with all that follows on all nodes."""
        for _ in range(int(seconds * 4)):
            await self._settled()
            self.clock.advance(milliseconds=250)
        await self._settled()

    async def _settled(self) -> None:
        for node in self.nodes.values():
            await node.settled()


def at(client: Client, node: InMemoryServer) -> Client:
    """Return the client at another node, with its token; it shows what it has shown."""
    moved = Client(node.http, client.user_id, client.device_id, client.access_token)
    moved.next_batch, moved.beliefs = client.next_batch, dict(client.beliefs)
    return moved


@asynccontextmanager
async def fronts_on(url: str, folder: Path, *names: str) -> AsyncIterator[Fronts]:
    """Run nodes of these names in front of one homeserver, on the database at *url*."""
    clock = FakeClock()
    small = SmallHomeserver(clock)
    behind = HttpServer(small, clock, MATRIX)
    registration = f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}"
    (folder / "registration.yaml").write_text(registration)
    async with AsyncExitStack() as until:
        until.callback(behind.abort)
        fronts = Fronts(url, folder, clock, small, LogServer(clock), Pipe(behind), until)
        for name in names:
            await fronts.start(name)
        await fronts.passes(1)
        yield fronts

"""A server in front of a small homeserver, and people who are at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lamplighter.config import Config, parse_config_text
from lamplighter.devtools.client import Client
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.devtools.server import InMemoryServer
from lamplighter.federation.transport import Transport
from lamplighter.ids import DeviceId, UserId
from lamplighter.web.http.server import HttpServer
from lamplighter.web.server import MATRIX
from tests.homeserver.upstream.pipe import Pipe
from tests.homeserver.upstream.small import AS_TOKEN, HS_TOKEN, SmallHomeserver

__all__ = ["LOBBY", "Front", "front"]

LOBBY = "!lobby:demo"


@dataclass
class Front:
    """Both servers, and the connections between them."""

    small: SmallHomeserver
    pipe: Pipe
    server: InMemoryServer
    behind: HttpServer
    folder: Path

    def configure(self, config: str) -> None:
        """Use another configuration from the next start on."""
        self.server.configure(_config(self.folder, config))

    def past_the_front(self) -> HttpClient:
        """Return what asks the homeserver itself."""
        return HttpClient(self.behind.connect, settle=self.server.settled)

    def person(self, name: str, device_id: str = "PHONE") -> Client:
        """Return a client of somebody who has logged in at the homeserver."""
        token = self.small.log_in(name, device_id)
        user_id = UserId(f"@{name}:demo")
        return Client(self.server.http, user_id, DeviceId(device_id), token)

    async def told(self, after: int = 0, token: str = HS_TOKEN) -> int:
        """Let the homeserver send a transaction; return the status of the answer."""
        answer = await self.server.http.request(
            "PUT",
            "/_matrix/app/v1/transactions/1",
            json=self.small.transaction(after),
            token=token,
        )
        await self.server.settled()
        return answer.status


def _config(folder: Path, config: str) -> Config:
    text = (
        "server_name: demo\nrate_limits: off\n"
        "homeserver: {url: 'http://127.0.0.1:8018', registration: registration.yaml, "
        "signing_key: signing.key}\n" + config
    )
    return parse_config_text(text, folder / "lamplighter.yaml")


@asynccontextmanager
async def front(
    folder: Path, config: str = "", transport: Transport | None = None
) -> AsyncIterator[Front]:
    """Run both servers; *transport* stands in for connections to other servers."""
    clock = FakeClock()
    small = SmallHomeserver(clock)
    behind = HttpServer(small, clock, MATRIX)
    pipe = Pipe(behind)
    registration = folder / "registration.yaml"
    registration.write_text(f"{{id: lamplighter, as_token: {AS_TOKEN}, hs_token: {HS_TOKEN}}}")
    server = InMemoryServer(
        _config(folder, config),
        None,
        folder / "data",
        clock=clock,
        transport=transport,
        connect=pipe,
    )
    await server.start()
    try:
        yield Front(small, pipe, server, behind, folder)
    finally:
        await server.stop()
        behind.abort()

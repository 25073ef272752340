"""A bare federation peer: TLS, one signing key, and a record of its requests and transactions.

It shares no code with the server, so that the two cannot be wrong together.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from signedjson.key import generate_signing_key

from lamplighter.clock import SystemClock, after
from tests.federation.signed import key_id, published, signature
from tests.federation_interop.certificates import Authority, Certificate

__all__ = ["SEND", "SERVER_KEYS", "Answer", "Peer", "Transaction", "presence_edu", "running_peer"]

SERVER_KEYS: Final = "/_matrix/key/v2/server"
SEND: Final = "/_matrix/federation/v1/send/"


@dataclass(frozen=True)
class Transaction:
    """A received transaction: path, content, and the header that signs it."""

    path: str
    authorization: str
    content: Any


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any


class Peer:
    """A server with the name `127.0.0.1:<port>`, which keeps its port."""

    def __init__(self, http: aiohttp.ClientSession, certificate: Certificate) -> None:
        self._http = http
        self._tls = certificate.server_context()
        self._key = generate_signing_key("peer")
        self._server = web.Server(self._answer)
        self._runner = web.ServerRunner(self._server)
        self._transactions: asyncio.Queue[Transaction] = asyncio.Queue()
        #: Its port; 0 before it listens.
        self.port = 0
        #: Method and path of every request.
        self.requests: list[str] = []

    @property
    def name(self) -> str:
        """The name of this server."""
        return f"127.0.0.1:{self.port}"

    def user(self, name: str) -> str:
        """Return the ID of this server's user of that *name*."""
        return f"@{name}:{self.name}"

    async def listen(self) -> None:
        """Listen for other servers."""
        self._server = web.Server(self._answer)
        self._runner = web.ServerRunner(self._server)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]

    async def leave(self) -> None:
        """Close all connections and accept no more."""
        for connection in self._server.connections:
            # Closing TLS in good order needs an answer, which may come after the test's end.
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()

    async def transaction(self) -> Transaction:
        """Return the next transaction."""
        return await self._transactions.get()

    async def get(self, destination: str, path: str) -> Answer:
        """Send an unsigned GET to a server."""
        async with self._http.get(f"https://{destination}{path}") as response:
            return Answer(response.status, await response.json())

    async def send(self, destination: str, txn_id: str, *edus: Any, at: str = "") -> Answer:
        """Send a signed transaction with *edus*; *at* is where, if not where the name says."""
        now = SystemClock().now()
        content = {"origin": self.name, "origin_server_ts": now, "pdus": [], "edus": list(edus)}
        path = SEND + txn_id
        async with self._http.put(
            f"{at or f'https://{destination}'}{path}",
            json=content,
            headers={"Authorization": self._authorization(destination, path, content)},
        ) as response:
            return Answer(response.status, await response.json())

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        if request.path == SERVER_KEYS:
            return web.json_response(self._server_keys())
        if request.path.startswith(SEND):
            header, content = request.headers["Authorization"], json.loads(await request.read())
            self._transactions.put_nowait(Transaction(request.path, header, content))
            return web.json_response({"pdus": {}})
        return web.json_response({"errcode": "M_UNRECOGNIZED", "error": "not here"}, status=404)

    def _server_keys(self) -> dict[str, Any]:
        until = after(SystemClock().now(), timedelta(days=1))
        return published(self.name, self._key, until=until)

    def _authorization(self, destination: str, uri: str, content: Any) -> str:
        sig = signature(self.name, destination, "PUT", uri, content, self._key)
        return (
            f'X-Matrix origin="{self.name}",destination="{destination}",'
            f'key="{key_id(self._key)}",sig="{sig}"'
        )


def presence_edu(user_id: str, presence: str, **more: Any) -> dict[str, Any]:
    """Return an EDU about one user, with *more* fields."""
    entry = {"user_id": user_id, "presence": presence, **more}
    return {"edu_type": "m.presence", "content": {"push": [entry]}}


@asynccontextmanager
async def running_peer(folder: Path, authority: Authority) -> AsyncIterator[Peer]:
    """Give a peer that listens; *folder* is for its certificate."""
    connector = aiohttp.TCPConnector(ssl=authority.client_context())
    async with aiohttp.ClientSession(connector=connector) as http:
        peer = Peer(http, authority.certificate(folder))
        await peer.listen()
        try:
            yield peer
        finally:
            await peer.leave()

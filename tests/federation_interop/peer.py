"""A bare federation peer: TLS, one signing key, and a record of what it was asked and sent.

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
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json

from lamplighter.clock import SystemClock, after
from tests.federation_interop.certificates import Authority, Certificate

__all__ = ["SEND", "SERVER_KEYS", "Answer", "Peer", "Transaction", "presence_edu", "running_peer"]

SERVER_KEYS: Final = "/_matrix/key/v2/server"
SEND: Final = "/_matrix/federation/v1/send/"


@dataclass(frozen=True)
class Transaction:
    """What a server has sent: where to, what, and the header that vouches for it."""

    path: str
    authorization: str
    content: Any


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any


class Peer:
    """A server that is named `127.0.0.1:` and its port, and keeps that port."""

    def __init__(self, http: aiohttp.ClientSession, certificate: Certificate) -> None:
        self._http = http
        self._tls = certificate.server_context()
        self._key = generate_signing_key("peer")
        self._key_id = f"{self._key.alg}:{self._key.version}"
        self._server = web.Server(self._answer)
        self._runner = web.ServerRunner(self._server)
        self._transactions: asyncio.Queue[Transaction] = asyncio.Queue()
        #: Where it listens; 0 before it does.
        self.port = 0
        #: Method and path of every request that came in.
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
        """Be away: close all connections and take no more."""
        for connection in self._server.connections:
            # To close TLS politely takes an answer, which may come after the test's end.
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()

    async def transaction(self) -> Transaction:
        """Return the next transaction that somebody sends."""
        return await self._transactions.get()

    async def get(self, destination: str, path: str) -> Answer:
        """Ask a server what it tells everybody."""
        async with self._http.get(f"https://{destination}{path}") as response:
            return Answer(response.status, await response.json())

    async def send(self, destination: str, txn_id: str, *edus: Any) -> Answer:
        """Send a transaction with *edus*, and sign it."""
        now = SystemClock().now()
        content = {"origin": self.name, "origin_server_ts": now, "pdus": [], "edus": list(edus)}
        path = SEND + txn_id
        async with self._http.put(
            f"https://{destination}{path}",
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
        verify_key = encode_verify_key_base64(get_verify_key(self._key))
        keys = {
            "server_name": self.name,
            "valid_until_ts": after(SystemClock().now(), timedelta(days=1)),
            "verify_keys": {self._key_id: {"key": verify_key}},
            "old_verify_keys": {},
        }
        return sign_json(keys, self.name, self._key)

    def _authorization(self, destination: str, uri: str, content: Any) -> str:
        request = {
            "method": "PUT",
            "uri": uri,
            "origin": self.name,
            "destination": destination,
            "content": content,
        }
        signed = sign_json(request, self.name, self._key)
        signature = signed["signatures"][self.name][self._key_id]
        return (
            f'X-Matrix origin="{self.name}",destination="{destination}",'
            f'key="{self._key_id}",sig="{signature}"'
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

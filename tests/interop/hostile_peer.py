"""A hostile federation peer: it signs anything, and answers with any bytes.

The peer shares no code with the server, and has only as much HTTP as it needs to break the rules.
An answer is a script of parts, which are sent one after the other.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json
from signedjson.types import SigningKey

from lamplighter.clock import SystemClock, after
from tests.federation_interop.certificates import Authority, Certificate

__all__ = [
    "KEYS",
    "SEND",
    "HostilePeer",
    "Refusal",
    "Request",
    "Script",
    "abort",
    "endless",
    "once",
    "open_hostile_peer",
    "refusal",
    "response",
    "silence",
]

KEYS: Final = "/_matrix/key/v2/server"
SEND: Final = "/_matrix/federation/v1/send/"

#: What is answered to a request: parts, after which the connection is closed.
Script = Callable[[], AsyncIterator[bytes]]


def response(status: int, body: object, *headers: str) -> bytes:
    """Return a whole response, whose body is JSON unless it is bytes."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", "Connection: close", f"Content-Length: {len(sent)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + sent


def once(*parts: bytes) -> Script:
    """Answer with these parts, and close the connection."""

    async def script() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return script


def endless(begin: bytes, part: bytes) -> Script:
    """Answer with these parts, and then with *part* for ever."""

    async def script() -> AsyncIterator[bytes]:
        yield begin
        while True:
            yield part

    return script


def silence(begin: bytes = b"") -> Script:
    """Answer with these parts, and then with nothing until the other end closes."""

    async def script() -> AsyncIterator[bytes]:
        yield begin
        await asyncio.Event().wait()

    return script


@dataclass(frozen=True)
class Request:
    """A received request."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True)
class Refusal:
    """A status, and the Matrix error code beside it, if there is one."""

    status: int
    errcode: str | None


def refusal(answer: bytes) -> Refusal:
    """Return what *answer*, a whole response, says; that it is one is asserted."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), answer
    content = json.loads(body)
    assert content.get("error", "-")
    return Refusal(int(head.split()[1]), content.get("errcode"))


class HostilePeer:
    """A server that is named *host*, and its port. It has a key, as any server."""

    def __init__(self, certificate: Certificate, trusting: ssl.SSLContext, host: str) -> None:
        self._tls = certificate.server_context()
        self._trusting = trusting
        self._host = host
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Condition()
        self.port = 0
        self.key = generate_signing_key("evil")
        #: What is answered, by the beginnings of paths.
        self.scripts: dict[str, Script] = {KEYS: lambda: once(response(200, self.keys()))()}
        self.requests: list[Request] = []
        #: How many connections were made, and what was sent in all of them, in bytes.
        self.connections = 0
        self.sent = 0

    @property
    def name(self) -> str:
        """The name of this server."""
        return f"{self._host}:{self.port}"

    def user(self, name: str) -> str:
        """Return the ID of this server's user of that *name*."""
        return f"@{name}:{self.name}"

    async def listen(self, port: int = 0) -> None:
        """Listen for other servers; 0 is any port."""
        self._server = await asyncio.start_server(self._serve, self._host, port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def leave(self) -> None:
        """Close all connections, and accept no more."""
        if self._server is not None:
            self._server.close()
        self.hang_up()
        async with self._news:
            await self._news.wait_for(lambda: not self._connections)

    def hang_up(self) -> None:
        """Abort every connection."""
        for writer in self._connections:
            abort(writer)

    async def requested(self, begins: str, count: int = 1) -> Request:
        """Return the *count*-th request whose path begins so, once it is there."""
        async with self._news:
            await self._news.wait_for(lambda: len(self.requests_for(begins)) >= count)
        return self.requests_for(begins)[count - 1]

    def requests_for(self, begins: str) -> list[Request]:
        """Return the requests so far whose paths begin so."""
        return [it for it in self.requests if it.path.startswith(begins)]

    def keys(self, **altered: Any) -> dict[str, Any]:
        """Return what it publishes of its keys, *altered* and then signed."""
        public = encode_verify_key_base64(get_verify_key(self.key))
        content = {
            "server_name": self.name,
            "valid_until_ts": after(SystemClock().now(), timedelta(days=1)),
            "verify_keys": {f"{self.key.alg}:{self.key.version}": {"key": public}},
            "old_verify_keys": {},
        }
        return sign_json(content | altered, self.name, self.key)

    def transaction(self, *edus: Any, **altered: Any) -> dict[str, Any]:
        """Return the body of a transaction."""
        now = SystemClock().now()
        content = {"origin": self.name, "origin_server_ts": now, "pdus": [], "edus": list(edus)}
        return content | altered

    def authorization(
        self,
        uri: str,
        content: Any,
        destination: str,
        *,
        origin: str | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """Return the header that vouches for a transaction, in *origin*'s name and by *key*."""
        origin, key = origin or self.name, key or self.key
        named = {"method": "PUT", "uri": uri, "origin": origin, "destination": destination}
        key_id = f"{key.alg}:{key.version}"
        signed = sign_json({**named, "content": content}, origin, key)
        signature = signed["signatures"][origin][key_id]
        return (
            f'X-Matrix origin="{origin}",destination="{destination}",'
            f'key="{key_id}",sig="{signature}"'
        )

    async def send(self, destination: str, txn_id: str, *edus: Any, **altered: Any) -> Refusal:
        """Send a transaction, *altered* and then signed, as any server would."""
        content = self.transaction(*edus, **altered)
        header = self.authorization(SEND + txn_id, content, destination)
        return await self.put(destination, SEND + txn_id, json.dumps(content).encode(), header)

    async def put(self, destination: str, uri: str, body: bytes, authorization: str) -> Refusal:
        """Send a request as it is; without *authorization* if that is empty."""
        headers = {"Content-Length": str(len(body))}
        if authorization:
            headers["Authorization"] = authorization
        return refusal(await self.raw(destination, head(uri, headers), body))

    async def raw(self, destination: str, *parts: bytes) -> bytes:
        """Send *parts* as they are; return what comes back until the other one hangs up."""
        reader, writer = await self.connect(destination)
        try:
            with suppress(ConnectionError):  # the server may have closed
                for part in parts:
                    writer.write(part)
                    await writer.drain()
            return await reader.read()
        finally:
            abort(writer)

    async def flood(self, destination: str, begin: bytes, part: bytes, most: int) -> int:
        """Send *begin*, and *part* again and again, until the other one hangs up.

        Return how many bytes that took; they are at least *most* if it took no notice.
        """
        reader, writer = await self.connect(destination)
        leaving = asyncio.create_task(reader.read())
        sent = 0
        writer.write(begin)
        with suppress(ConnectionError):
            while sent < most and not leaving.done():
                writer.write(part)
                await writer.drain()
                sent += len(part)
                await asyncio.wait([leaving], timeout=0)
        abort(writer)
        await asyncio.wait([leaving])
        return sent

    async def connect(self, destination: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to a server."""
        host, _, port = destination.rpartition(":")
        return await asyncio.open_connection(host, int(port), ssl=self._trusting)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(await _request(reader), reader, writer)
        finally:
            abort(writer)
            async with self._news:
                self._connections.discard(writer)
                self._news.notify_all()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async with self._news:
            self.requests.append(request)
            self._news.notify_all()
        begins = [it for it in self.scripts if request.path.startswith(it)]
        script = self.scripts[begins[0]] if begins else once(response(404, {}))
        # The server sends nothing more, so this returns when the server closes.
        leaving = asyncio.create_task(reader.read())
        speaking = asyncio.create_task(self._speak(script(), writer, leaving))
        await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (speaking, leaving):
            task.cancel()
        await asyncio.gather(speaking, leaving, return_exceptions=True)

    async def _speak(
        self,
        script: AsyncIterator[bytes],
        writer: asyncio.StreamWriter,
        leaving: "asyncio.Task[bytes]",
    ) -> None:
        async for part in script:
            writer.write(part)
            await writer.drain()
            self.sent += len(part)
            # Draining may not wait, and then nobody would notice that the other end has closed.
            await asyncio.wait([leaving], timeout=0)
        writer.close()
        await writer.wait_closed()


def head(uri: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a PUT, after whose answer the connection ends."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(
        [f"PUT {uri} HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""]
    ).encode()


async def _request(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Request(method, path, body)


def abort(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once, one too that the other side has closed meanwhile."""
    with suppress(AttributeError):  # asyncio's own, of TLS that is closed already
        writer.transport.abort()


@asynccontextmanager
async def open_hostile_peer(
    certificate: Certificate, authority: Authority, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[HostilePeer]:
    """Give a peer that listens, with a *certificate* that may be others' too."""
    peer = HostilePeer(certificate, authority.client_context(), host)
    await peer.listen(port)
    try:
        yield peer
    finally:
        await peer.leave()

"""An HTTP client for a server in the same process: no socket, no port, no thread.

    client = HttpClient(server.connect)
    response = await client.request("GET", "/_matrix/client/v3/account/whoami", token="...")
    assert response.json == {"user_id": "@alice:demo", "device_id": "PHONE", "is_guest": False}

The client writes requests as bytes to the server's real connections, and keeps connections for the
next request as programs do. A request whose client goes away before the answer is written with
`begin`:

    poll = client.begin("GET", "/_matrix/client/v3/sync", token="...", query={"timeout": "30000"})
    await poll.go_away()
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, Unpack
from urllib.parse import quote, urlencode

import httptools
import msgspec

from lamplighter.devtools.transport import MemoryTransport
from lamplighter.devtools.turns import turns_until_idle

__all__ = ["HttpClient", "PendingRequest", "RequestParts", "Response"]

#: What may stand unencoded in a path; `%` because a caller may have encoded it already.
_SAFE: Final = "/%:@!$&'()*+,;=~"
_LAST_INTERIM: Final = 199


class RequestParts(TypedDict, total=False):
    """The parts of a request beside its method and path."""

    #: Is encoded into the body.
    json: object
    #: The body as it is sent; a sequence goes in as many chunks and without a Content-Length.
    body: bytes | Sequence[bytes]
    #: Goes into the Authorization header.
    token: str | None
    query: Mapping[str, str] | None
    headers: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer of the server; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; raises `msgspec.DecodeError` if it is something else."""
        return msgspec.json.decode(self.body)


class PendingRequest:
    """One request that was sent, and what has come of its response."""

    def __init__(
        self, connection: "_ClientConnection", method: str, settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._connection = connection
        self._settle = settle
        self.method = method
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        #: Whether the server has broken off the response.
        self.is_broken = False
        #: Set once nothing more comes.
        self.is_over = asyncio.Event()

    @property
    def answered(self) -> bool:
        """Whether the server has begun to answer."""
        return self.status is not None

    async def response(self) -> Response:
        """Return the response; raise `RuntimeError` if the connection ended without one.

        A caller that is cancelled meanwhile does not close the connection.
        """
        await self.is_over.wait()
        if self.status is None:
            raise RuntimeError("the connection ended without an answer")
        if self.is_broken:
            raise RuntimeError("the connection ended in the middle of an answer")
        return Response(self.status, self.headers, bytes(self.body))

    async def waiting(self) -> None:
        """Return once the server waits for news, or has answered."""
        await self._settle()

    async def go_away(self) -> None:
        """Close the connection, and return once the server has finished with it."""
        self._connection.close()
        await self._settle()


class _ClientConnection:
    """The client's end of a connection: one request after the other, and their responses.

    The methods `on_...` are what httptools calls while it reads a response.
    """

    def __init__(
        self,
        connect: Callable[[], asyncio.Protocol | None],
        address: str,
        idle: "list[_ClientConnection]",
    ) -> None:
        """*idle* is where the connection puts itself while the next request may be sent."""
        self._idle = idle
        self._pending: PendingRequest | None = None
        self._parser = httptools.HttpResponseParser(self)
        protocol = connect()
        if protocol is None:
            raise ConnectionRefusedError("the server has no room for a connection")
        self._transport = MemoryTransport(protocol, address, self._parser.feed_data, self._break)

    def send(self, pending: PendingRequest, pieces: Sequence[bytes]) -> None:
        """Send *pieces* of a request, and give the response to *pending*."""
        self._pending = pending
        self._transport.send(*pieces)

    def close(self) -> None:
        """Close this end, unless it is closed."""
        if self in self._idle:
            self._idle.remove(self)
        self._end_response()
        self._transport.leave()

    def _break(self) -> None:
        if self._pending is not None:
            self._pending.is_broken = True
        self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._pending is not None:
            self._pending.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        pending, status = self._pending, self._parser.get_status_code()
        if pending is None or status <= _LAST_INTERIM:
            return
        pending.status = status
        if pending.method == "HEAD":  # the parser waits for a body that does not come
            self.close()

    def on_body(self, body: bytes) -> None:
        if self._pending is not None:
            self._pending.body += body

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() <= _LAST_INTERIM:
            return
        self._end_response()
        if self._parser.should_keep_alive():
            self._idle.append(self)

    def _end_response(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.is_over.set()


class HttpClient:
    """Sends requests to a server, as a client at the network address *address*.

    *connect* returns the server's end of a new connection. *settle* returns once the server has
    done what it can do at this moment.
    """

    def __init__(
        self,
        connect: Callable[[], asyncio.Protocol | None],
        *,
        address: str = "127.0.0.1",
        settle: Callable[[], Awaitable[None]] = turns_until_idle,
    ) -> None:
        self._connect = connect
        self._address = address
        self._settle = settle
        self._idle: list[_ClientConnection] = []

    async def request(self, method: str, path: str, **more: Unpack[RequestParts]) -> Response:
        """Send a request and return its response.

        *path* is percent-encoded where it has to be and is not yet (`#`, spaces, not ASCII); a
        slash inside a parameter must come as `%2F`.
        """
        return await self.begin(method, path, **more).response()

    def begin(self, method: str, path: str, **more: Unpack[RequestParts]) -> PendingRequest:
        """Send a request, with the arguments of `request`, and do not wait for its response."""
        body = msgspec.json.encode(more["json"]) if "json" in more else more.get("body", b"")
        token, query, headers = more.get("token"), more.get("query"), more.get("headers")
        sent = {"host": "localhost"}
        if not isinstance(body, bytes):
            sent["transfer-encoding"] = "chunked"
        elif body or method not in ("GET", "HEAD"):
            sent["content-length"] = str(len(body))
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        target = quote(path, safe=_SAFE) + (f"?{urlencode(query)}" if query else "")
        return self.send(method, target, sent, body)

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Sequence[bytes] = b"",
    ) -> PendingRequest:
        """Send a request with exactly this target and these headers."""
        lines = [f"{method} {target} HTTP/1.1\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = "".join((*lines, "\r\n")).encode("latin-1")
        pieces = [head + body] if isinstance(body, bytes) else [head, *map(_chunk, body), _chunk()]
        idle = self._idle
        connection = idle.pop() if idle else _ClientConnection(self._connect, self._address, idle)
        pending = PendingRequest(connection, method, self._settle)
        connection.send(pending, pieces)
        return pending


def _chunk(data: bytes | None = None) -> bytes:
    """Return *data* as a chunk, and nothing for nothing; the last chunk for None."""
    if data is None:
        return b"0\r\n\r\n"
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

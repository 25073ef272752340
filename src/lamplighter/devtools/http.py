"""An HTTP client for an ASGI application in the same process: no socket, no port, no thread.

    client = AsgiClient(application)
    response = await client.request("GET", "/_matrix/client/v3/account/whoami", token="...")
    assert response.json == {"user_id": "@alice:demo", "device_id": "PHONE", "is_guest": False}

A request whose client goes away before the answer is written with `begin`:

    poll = client.begin("GET", "/_matrix/client/v3/sync", token="...", query={"timeout": "30000"})
    await poll.go_away()
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote_to_bytes, urlencode

import msgspec

__all__ = ["AsgiApplication", "AsgiClient", "Exchange", "Response"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
#: An application after <https://asgi.readthedocs.io/en/latest/specs/www.html>.
AsgiApplication: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What may stand unencoded in a path; `%` because a caller may have encoded it already.
_SAFE: Final = "/%:@!$&'()*+,;=~"


class _Absent(Enum):
    BODY = "no body"


@dataclass(frozen=True, slots=True)
class Response:
    """What the application answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; raises `msgspec.DecodeError` if it is something else."""
        return msgspec.json.decode(self.body)


class Exchange:
    """One request under way, and its response.

    It starts at once and runs as a task of the current event loop.
    """

    def __init__(
        self, application: AsgiApplication, scope: MutableMapping[str, Any], chunks: Sequence[bytes]
    ) -> None:
        self._incoming = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
            for place, chunk in enumerate(chunks, start=1)
        ]
        self._over = asyncio.Event()
        self._waits = asyncio.Event()
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._task = asyncio.ensure_future(application(scope, self._receive, self._send))

    @property
    def answered(self) -> bool:
        """Whether the application has begun to answer."""
        return self._status is not None

    async def response(self) -> Response:
        """Return the response; raises what the application raises.

        A caller that is cancelled meanwhile does not cancel the application: no server does.
        """
        await asyncio.shield(self._task)
        if self._status is None:
            raise RuntimeError("the application returned without an answer")
        return Response(self._status, self._headers, bytes(self._body))

    async def waiting(self) -> None:
        """Return once the application waits for news or the client's leaving, or has finished."""
        waits = asyncio.ensure_future(self._waits.wait())
        await asyncio.wait({self._task, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()

    async def go_away(self) -> None:
        """Close the connection, and return once the application has finished with it."""
        self._over.set()
        await asyncio.shield(self._task)

    async def _receive(self) -> Message:
        if self._incoming and not self._over.is_set():
            return self._incoming.pop(0)
        self._waits.set()
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._over.is_set():  # a server drops what nobody can receive
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = _text_headers(message.get("headers", ()))
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            self._over.set()


class AsgiClient:
    """Sends requests to *application*, as a client at the network address *address*."""

    def __init__(self, application: AsgiApplication, *, address: str = "127.0.0.1") -> None:
        self._application = application
        self._address = address

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = _Absent.BODY,
        body: bytes | Sequence[bytes] = b"",
        token: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request and return its response.

        *path* is percent-encoded where it has to be and is not yet (`#`, spaces, not ASCII); a
        slash inside a parameter must come as `%2F`. *json* is encoded into the body; *body* is
        sent as it is, a sequence in as many chunks and without a Content-Length. *token* goes
        into the Authorization header.
        """
        exchange = self.begin(
            method, path, json=json, body=body, token=token, query=query, headers=headers
        )
        return await exchange.response()

    def begin(
        self,
        method: str,
        path: str,
        *,
        json: object = _Absent.BODY,
        body: bytes | Sequence[bytes] = b"",
        token: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Send a request, with the arguments of `request`, and do not wait for its response."""
        if json is not _Absent.BODY:
            body = msgspec.json.encode(json)
        sent = {"host": "localhost"}
        if isinstance(body, bytes):
            sent["content-length"] = str(len(body))
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        scope = self._scope(method, quote(path, safe=_SAFE), urlencode(query or {}), sent)
        chunks = [body] if isinstance(body, bytes) else list(body)
        return Exchange(self._application, scope, chunks or [b""])

    def _scope(
        self, method: str, raw_path: str, query: str, headers: Mapping[str, str]
    ) -> MutableMapping[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(raw_path).decode(errors="replace"),
            "raw_path": raw_path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            "client": (self._address, 50000),
            "server": ("localhost", 80),
        }


def _text_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}

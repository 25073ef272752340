"""Passes requests on to the homeserver, and its answers back, as they came.

Only our own part of since tokens in queries of clients ends here (`queries.py`).

Both bodies are streamed: a part that has come goes out at once, and while one side does not read,
nothing more is read from the other side. So a body of any size takes constant memory. The
homeserver may answer before it has the whole body, of which the rest is then dropped. For example,
an upload that is too large:

    client -> POST, Content-Length: 90000000, 64 KiB          open, send
    client -> 64 KiB                                          send
                          413 <- homeserver                   head, read: the client has the answer
    client -> 64 KiB                                          dropped; both connections are closed

A small body may be copied on its way, for a `Watch` that asks for it. What is sent stays the same.

A client that goes away ends the request, and a homeserver that breaks off its answer ends the
connection to the client: nobody takes half of an answer for the whole.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import msgspec
from starlette.types import Message, Receive, Scope, Send

from lamplighter.errors import Malformed
from lamplighter.homeserver.upstream.client import CHUNKED, UpstreamClient, UpstreamExchange
from lamplighter.homeserver.upstream.headers import end_to_end, forwarded_headers
from lamplighter.homeserver.upstream.queries import with_their_tokens
from lamplighter.ports import RequestHead
from lamplighter.recent import Recent
from lamplighter.web.bodies import EACH_PART_IN_TIME
from lamplighter.web.http.asgi import ENDS_WITH_CLIENT, HAS_QUERY
from lamplighter.web.http.request import Headers

__all__ = ["Forwarding", "Watch", "Watching", "watch_nothing"]

#: How long the homeserver may take until its answer begins: joins of large rooms take minutes.
_TO_ANSWER: Final = timedelta(minutes=10)
#: Bytes of memory for headers that are remembered, and for each byte of them.
_MOST_FIELDS: Final = 16 * 1024 * 1024
_BYTES_OF_A_BYTE: Final = 4


class Watching(msgspec.Struct, frozen=True):
    """What is wanted of one request that is passed on."""

    #: Awaited with the answer's status, and the copied body, before the client gets any of the
    #: answer. The body is None where it was not whole by then, or too large.
    answered: Callable[[int, bytes | None], Awaitable[None]]
    #: Up to how many bytes the body is copied.
    copies: int = 0
    #: Awaited before the request is passed on.
    before: Callable[[], Awaitable[None]] | None = None


#: Called with the method, the path as it came, query and head of each request that is passed on.
Watch: TypeAlias = Callable[[str, str, str, RequestHead], Watching | None]


def watch_nothing(_method: str, _path: str, _query: str, _head: RequestHead) -> None:
    """Take no notice of a request; it is a `Watch`."""


class Forwarding:
    """An ASGI application whose requests the homeserver answers.

    It raises `HomeserverUnreachable` and `HomeserverTooSlow`, also in the middle of an answer.
    """

    def __init__(
        self, client: UpstreamClient, trusts: Callable[[str], bool], watch: Watch = watch_nothing
    ) -> None:
        """*trusts* tells whether an address is that of a trusted proxy."""
        self._client = client
        self._trusts = trusts
        self._watch = watch
        #: Fields for the homeserver, by headers, address and scheme: clients repeat their headers.
        self._fields: Recent[tuple[object, str, str], bytes] = Recent(_MOST_FIELDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for key in (ENDS_WITH_CLIENT, EACH_PART_IN_TIME):
            if key in scope:
                scope[key]()
        _check(scope)
        query = with_their_tokens(scope["raw_path"], scope["query_string"])
        watching = self._watch(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            query.decode("latin-1"),
            RequestHead(scope["headers"], partial(_peer, scope)),
        )
        copy: _Copy | None = None
        if watching is not None and watching.copies:
            receive = copy = _Copy(receive, watching.copies)
        if watching is not None and watching.before is not None:
            await watching.before()
        exchange, is_whole = await self._open(scope, query, receive)
        upload: asyncio.Task[None] | None = None
        try:
            if not is_whole:
                upload = asyncio.ensure_future(_upload(receive, exchange))
            status, headers = await exchange.head()
            if watching is not None:
                await watching.answered(status, None if copy is None else copy.whole)
            await _answer(send, status, headers, exchange)
        finally:
            if upload is not None:
                upload.cancel()
                await asyncio.gather(upload, return_exceptions=True)
            exchange.close()

    async def _open(
        self, scope: Scope, query: bytes, receive: Receive
    ) -> tuple[UpstreamExchange, bool]:
        """Send the request, and return whether that was all of it.

        The first part of a body goes along with the head. A client that asks whether to send its
        body is told to when there is a connection to the homeserver.
        """
        headers: Headers = scope["headers"]
        named = dict(headers)
        length: int | None = None
        if b"transfer-encoding" in named:
            length = CHUNKED
        elif b"content-length" in named:
            length = int(named[b"content-length"])
        body, is_whole = b"", not length
        if length and b"expect" not in named:
            body, is_whole = await _part(receive)
        path = scope["raw_path"]
        exchange = await self._client.open(
            scope["method"],
            b"%b?%b" % (path, query) if scope[HAS_QUERY] else path,
            self._fields_of(headers, _peer(scope), scope["scheme"]),
            length,
            body,
            is_whole=is_whole,
            time_limit=_TO_ANSWER,
        )
        return exchange, is_whole

    def _fields_of(self, headers: Headers, peer: str, scheme: str) -> bytes:
        """Return the header fields for the homeserver; those of headers that repeat are there."""
        asked = (tuple(headers), peer, scheme)
        fields = self._fields.peek(asked)
        if fields is None:
            fields = self._client.fields(forwarded_headers(headers, peer, scheme, self._trusts))
            self._fields.put(asked, fields, _BYTES_OF_A_BYTE * len(fields))
        return fields


class _Copy:
    """A `Receive` that copies a body of up to *most* bytes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._body = bytearray()
        self._has_ended = False

    async def __call__(self) -> Message:
        message = await self._receive()
        part = message.get("body", b"")
        if len(self._body) <= self._most:
            self._body += part[: self._most + 1]
        self._has_ended = message["type"] == "http.request" and not message.get("more_body", False)
        return message

    @property
    def whole(self) -> bytes | None:
        """The body, if all of it has come and it is not too large."""
        is_whole = self._has_ended and len(self._body) <= self._most
        return bytes(self._body) if is_whole else None


def _peer(scope: Scope) -> str:
    """Return the address at the other end of the connection; "" if it is unknown."""
    client: tuple[str, int] | None = scope["client"]
    return "" if client is None else client[0]


def _check(scope: Scope) -> None:
    """Raise `Malformed` for a request that another server may understand as another one."""
    if scope["raw_path"][:1] != b"/" and (scope["method"], scope["raw_path"]) != ("OPTIONS", b"*"):
        raise Malformed("The URL has no path")
    if [name for name, _ in scope["headers"]].count(b"host") > 1:
        raise Malformed("The request has more than one Host header")


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """Return the next part of the body, and whether it is the last one."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Malformed("The request ended before its body did")
    return message.get("body", b""), not message.get("more_body", False)


async def _upload(receive: Receive, exchange: UpstreamExchange) -> None:
    """Send the rest of the body, as it comes and as the homeserver reads it."""
    try:
        is_last = False
        while not is_last:
            body, is_last = await _part(receive)
            await exchange.send(body)
        exchange.end()
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
        exchange.fail(error)


async def _answer(send: Send, status: int, headers: Headers, exchange: UpstreamExchange) -> None:
    """Send the answer to the client, as it comes and as the client reads it."""
    start = {"type": "http.response.start", "status": status, "headers": end_to_end(headers)}
    await send(start)
    is_last = False
    while not is_last:
        body, is_last = await exchange.read()
        await send({"type": "http.response.body", "body": body, "more_body": not is_last})

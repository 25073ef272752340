"""A lean HTTP/1.1 client: the load must not be slower than the servers that it measures.

A connection has one request in flight. It calls back with the answer as soon as the last byte is
there: a poll needs no task and no future.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, cast

from bench.errors import BenchError, ConnectionLost, Refused

__all__ = ["Address", "Answer", "AnswerParser", "Connection", "Handler", "connect"]

_END_OF_HEAD: Final = b"\r\n\r\n"
_END_OF_LINE: Final = b"\r\n"


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


class Answer(NamedTuple):
    """An HTTP response, without its headers."""

    status: int
    body: bytes


#: Called with the body of an answer, or with the problem: a refusal, or a lost connection.
Handler: TypeAlias = Callable[[bytes | BenchError], None]


class AnswerParser:
    """Parses answers from bytes that arrive in any pieces; knows `Content-Length` and chunks."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """Take *data* in; return the answer once it is complete."""
        self._data = data = self._data + data if self._data else data
        head_end = data.find(_END_OF_HEAD)
        if head_end < 0:
            return None
        head = data[:head_end].lower()
        start = head_end + len(_END_OF_HEAD)
        if b"transfer-encoding: chunked" in head:
            body = _unchunked(data, start)
        else:
            end = start + _content_length(head)
            body = data[start:end] if len(data) >= end else None
        if body is None:
            return None
        self._data = b""
        return Answer(int(head[9:12]), body)


class Connection(asyncio.Protocol):
    """A keep-alive connection, with one request in flight at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = AnswerParser()
        self._handler: Handler | None = None
        self._request = b""

    def send(self, request: bytes, handler: Handler) -> None:
        """Send a whole *request*; *handler* is called once, from the event loop."""
        assert self._handler is None, "an answer is still awaited"
        if self._transport is None or self._transport.is_closing():
            asyncio.get_running_loop().call_soon(handler, ConnectionLost("the server hung up"))
            return
        self._handler, self._request = handler, request
        self._transport.write(request)

    async def ask(self, request: bytes) -> bytes:
        """Send a whole *request* and return the body of the answer.

        Raises `Refused` for a status other than 200, `ConnectionLost` if there is no answer.
        """
        answered: asyncio.Future[bytes | BenchError] = asyncio.get_running_loop().create_future()
        self.send(request, lambda it: None if answered.done() else answered.set_result(it))
        answer = await answered
        if isinstance(answer, BenchError):
            raise answer
        return answer

    def abort(self) -> None:
        """Drop the connection, as a client does that loses its network."""
        self._handler = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        answer = self._parser.feed(data)
        if answer is None:
            return
        if answer.status == 200:
            self._hand_on(answer.body)
        else:
            line = self._request.split(_END_OF_LINE, 1)[0].decode()
            body = answer.body[:300].decode(errors="replace")
            self._hand_on(Refused(f"{line}: {answer.status} {body}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._hand_on(ConnectionLost(f"the connection was lost: {exc or 'the server hung up'}"))

    def _hand_on(self, answer: bytes | BenchError) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler(answer)


async def connect(address: Address, source: str | None = None) -> Connection:
    """Return a connection to *address*, from the loopback address *source* if one is given."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    _, connection = await loop.create_connection(
        Connection, address.host, address.port, local_addr=local
    )
    return connection


def _content_length(head: bytes) -> int:
    """Return the length that a lower-case *head* gives; 0 if it gives none."""
    found = head.find(b"\r\ncontent-length:")
    if found < 0:
        return 0
    start = found + len(b"\r\ncontent-length:")
    end = head.find(_END_OF_LINE, start)
    return int(head[start:] if end < 0 else head[start:end])


def _unchunked(data: bytes, start: int) -> bytes | None:
    """Return the body whose chunks begin at *start*; None if the last one is not there yet.

    Trailers are not expected: no server that is measured sends any.
    """
    chunks: list[bytes] = []
    while True:
        line_end = data.find(_END_OF_LINE, start)
        if line_end < 0:
            return None
        size = int(data[start:line_end].partition(b";")[0], 16)
        start = line_end + len(_END_OF_LINE)
        end = start + size
        if len(data) < end + len(_END_OF_LINE):
            return None
        if size == 0:
            return b"".join(chunks)
        chunks.append(data[start:end])
        start = end + len(_END_OF_LINE)

"""From the messages of an ASGI application to the bytes of its response."""

from collections.abc import Generator
from types import coroutine
from typing import TYPE_CHECKING, Final

from starlette.types import Message

from lamplighter.web.http.request import Request
from lamplighter.web.http.responses import CHUNKED_END, field_lines

if TYPE_CHECKING:
    from lamplighter.web.http.connection import Connection

__all__ = ["Streaming", "let_others_run"]

#: Responses of these kinds have no body, and say nothing of its length.
_BODILESS: Final = frozenset({204, 304})
#: Headers that concern the connection: the server writes them, not the application.
_OURS: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
#: From this size on, in bytes, a body costs more to copy than to hand on as a part of its own.
_WORTH_NO_COPY: Final = 16 * 1024


class Streaming:
    """The response to one request.

    `take` raises `RuntimeError` and `ValueError` for messages out of order or malformed.
    """

    __slots__ = (
        "_connection", "_due", "_has_body", "_is_chunked", "_request", "_start", "has_begun",
        "is_over",
    )  # fmt: skip

    def __init__(self, connection: "Connection", request: Request) -> None:
        self._connection = connection
        self._request = request
        #: The message that begins the response, kept until the body begins.
        self._start: Message | None = None
        self._has_body = request.method != "HEAD"
        self._is_chunked = False
        #: How much of the announced length is still to come; None if none was announced.
        self._due: int | None = None
        #: Whether any of the response was sent.
        self.has_begun = False
        #: Whether all of the response was sent.
        self.is_over = False

    @property
    def is_whole(self) -> bool:
        """Whether the client knows that it has all of the response."""
        return self.is_over and not self._due

    def take(self, message: Message) -> tuple[bytes, ...]:
        """Return what is to be sent for *message*, in parts that need not be joined."""
        if message["type"] == "http.response.start":
            if self._start is not None or self.has_begun:
                raise RuntimeError("the response has begun already")
            self._start = message
            return ()
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        head = b"" if self.has_begun else self._head(len(body) if is_last else None)
        before, body, behind = self._framed(body, is_last)
        self.has_begun = True
        self.is_over = is_last
        if len(body) < _WORTH_NO_COPY:
            return (b"".join((head, before, body, behind)),)
        return (head + before, body, behind)

    def _head(self, length: int | None) -> bytes:
        """Return the head of the response, whose body has *length* if that is known."""
        if self._start is None:
            raise RuntimeError("the response has not begun")
        status: int = self._start["status"]
        heads = self._connection.server.heads
        headers = list(self._start.get("headers", ()))
        named = {name.lower(): value for name, value in headers}
        if not _OURS.isdisjoint(named):
            headers = [it for it in headers if it[0].lower() not in _OURS]
        if b"content-length" in named:
            self._due = int(named[b"content-length"])
        # An answer that is passed on has the date of its server.
        begin = heads.line(status) if b"date" in named else heads.plain(status)
        lines = [begin, field_lines(headers)]
        connection = self._connection.connection_header(self._request)
        self._has_body = self._has_body and status not in _BODILESS
        if self._due is None and self._has_body:
            if length is not None:
                self._due = length
                lines.append(b"content-length: %d\r\n" % length)
            elif not self._request.is_http10:
                self._is_chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:  # there is no other way to tell the end
                connection = self._connection.closing_header()
        return b"".join((*lines, connection, b"\r\n"))

    def _framed(self, body: bytes, is_last: bool) -> tuple[bytes, bytes, bytes]:
        if not self._has_body:
            self._due = None
            return b"", b"", b""
        if self._due is not None:
            if len(body) > self._due:
                raise RuntimeError("the response is longer than its Content-Length")
            self._due -= len(body)
        if not self._is_chunked:
            return b"", body, b""
        end = CHUNKED_END if is_last else b""
        return (b"%x\r\n" % len(body), body, b"\r\n" + end) if body else (b"", b"", end)


@coroutine
def let_others_run() -> Generator[None, None, None]:
    """Let the event loop turn once: an endless stream that never waits would stop the server."""
    yield

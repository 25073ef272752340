"""From answers to bytes."""

from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from lamplighter.clock import Clock

__all__ = ["CHUNKED_END", "CLOSE", "CONTINUE", "KEEP_ALIVE", "Heads", "chunk", "field_lines"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"connection: close\r\n"
KEEP_ALIVE: Final = b"connection: keep-alive\r\n"
CHUNKED_END: Final = b"0\r\n\r\n"

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class Heads:
    """Makes the heads of responses, and keeps each for a second: until then it says the same."""

    def __init__(self, clock: Clock, json_headers: Sequence[tuple[bytes, bytes]]) -> None:
        """*json_headers* go along with every response in JSON."""
        self._clock = clock
        self._json_lines = field_lines(json_headers)
        self._json: dict[int, bytes] = {}
        self._plain: dict[int, bytes] = {}
        #: The last body that was sent with a plain 200, and the whole response.
        self._last: tuple[bytes, bytes] = b"", b""

    def renew(self) -> None:
        """Forget the cached heads: they name the time."""
        self._json.clear()
        self._plain.clear()
        self._last = b"", b""

    def line(self, status: int) -> bytes:
        """Return the status line."""
        return b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, "").encode("ascii"))

    def plain(self, status: int) -> bytes:
        """Return the status line and the date."""
        head = self._plain.get(status)
        if head is None:
            date = formatdate(self._clock.now() / 1000, usegmt=True)
            head = self._plain[status] = self.line(status) + f"date: {date}\r\n".encode("ascii")
        return head

    def json(
        self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]], connection: bytes
    ) -> bytes:
        """Return the whole head of a response whose *body* is JSON.

        *connection* is the line that says what becomes of the connection, or empty.
        """
        head = self._json.get(status)
        if head is None:
            head = self._json[status] = self.plain(status) + self._json_lines + b"content-length: "
        more = field_lines(headers) if headers else b""
        return b"%b%d\r\n%b%b\r\n" % (head, len(body), more, connection)

    def with_json(
        self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]], connection: bytes
    ) -> bytes:
        """Return the whole response; one body that is sent to many is one piece of memory."""
        if status != 200 or headers or connection:
            return self.json(status, body, headers, connection) + body
        last_body, response = self._last
        if body is not last_body or not response:
            response = self.json(status, body, headers, connection) + body
            self._last = body, response
        return response


def field_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return *headers* as bytes of a head; raise `ValueError` for a line break within one."""
    lines = [b": ".join(field) for field in headers]
    lines.append(b"")
    joined = b"\r\n".join(lines)
    if joined.count(b"\n") != len(lines) - 1 or joined.count(b"\r") != len(lines) - 1:
        raise ValueError("a line break in a header")
    return joined


def chunk(body: bytes) -> bytes:
    """Return *body*, which is not empty, as one chunk of a response whose length is not known."""
    return b"%x\r\n%b\r\n" % (len(body), body)

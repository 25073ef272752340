"""A request as it came, with the part of its body that was not taken yet."""

from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from lamplighter.errors import RequestError

__all__ = ["Headers", "Request", "RequestTarget"]

#: Names are in lower case, in the order in which they came.
Headers = list[tuple[bytes, bytes]]

_SCHEMES: Final = ("http://", "https://")


class RequestTarget(NamedTuple):
    """What a request line asks for."""

    path: str
    #: Percent-encoded, as it was sent; so is the query.
    raw_path: str
    query: str
    #: Whether a question mark was sent: the query behind it may be empty.
    has_query: bool

    @classmethod
    def of(cls, text: str) -> "RequestTarget":
        """Return the parts of *text*. Scheme and host are cut: clients send them to proxies."""
        if not text.startswith("/") and text.lower().startswith(_SCHEMES):
            host_and_more = text.partition("://")[2]
            text = host_and_more[len(host_and_more.partition("?")[0].partition("/")[0]) :]
            text = text if text.startswith("/") else f"/{text}"
        raw_path, mark, query = text.partition("?")
        path = raw_path
        if "%" in raw_path:
            path = unquote_to_bytes(raw_path).decode(errors="replace")
        return cls(path, raw_path, query, bool(mark))


class Request(msgspec.Struct, eq=False):
    """One request of a connection. It exists once its head has come; the body comes later.

    Bytes that are no request become one too, whose `problem` says what is wrong.
    """

    method: str
    target: RequestTarget
    headers: Headers
    #: The value of the header of that name; empty if there are several.
    authorization: bytes | None = None
    #: Whether another request may follow on the same connection.
    keeps_alive: bool = False
    #: Whether all of the body has come.
    is_complete: bool = False
    #: Whether the rest of the body will never come.
    is_broken: bool = False
    #: The part of the body that has come and was not taken; None before any has.
    body: bytearray | None = None
    expects_continue: bool = False
    is_http10: bool = False
    problem: RequestError | None = None

    @classmethod
    def of_nonsense(cls, problem: RequestError) -> "Request":
        """Return the request that stands for bytes that are none."""
        return cls("GET", RequestTarget.of("/"), [], is_broken=True, problem=problem)

    @property
    def unread(self) -> int:
        """How many bytes of the body were not taken yet."""
        return len(self.body) if self.body is not None else 0

    def take_body(self) -> bytes:
        """Return the part of the body that has come since the last call."""
        body, self.body = self.body, None
        return bytes(body) if body is not None else b""

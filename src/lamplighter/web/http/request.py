"""A request as it came, with as much of its body as nobody has taken yet."""

from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from lamplighter.errors import RequestError

__all__ = ["Headers", "Request", "Target"]

#: Names in lower case, in the order of their coming.
Headers = list[tuple[bytes, bytes]]

_SCHEMES: Final = ("http://", "https://")


class Target(NamedTuple):
    """What a request line asks for."""

    path: str
    #: Percent-encoded, as it was sent; so is the query.
    raw_path: str
    query: str

    @classmethod
    def of(cls, text: str) -> "Target":
        """Return the parts of *text*. A client may name scheme and host, as if to a proxy."""
        if not text.startswith("/") and text.lower().startswith(_SCHEMES):
            host_and_more = text.partition("://")[2]
            text = host_and_more[len(host_and_more.partition("?")[0].partition("/")[0]) :]
            text = text if text.startswith("/") else f"/{text}"
        raw_path, _, query = text.partition("?")
        return cls(_decoded(raw_path), raw_path, query)


class Request(msgspec.Struct, eq=False):
    """One request of a connection. It is there once its head is; its body comes later.

    What could not be understood is a request as well, with the `problem` to answer it with.
    """

    method: str
    target: Target
    headers: Headers
    #: The value of the first header of that name.
    authorization: bytes | None = None
    #: Whether another request may follow on the same connection.
    keeps_alive: bool = False
    #: Whether all of the body has come.
    is_complete: bool = False
    #: Whether the rest of the body will never come.
    is_broken: bool = False
    #: What has come of the body and was not taken; None before any has.
    body: bytearray | None = None
    expects_continue: bool = False
    is_http10: bool = False
    problem: RequestError | None = None

    @classmethod
    def of_nonsense(cls, problem: RequestError) -> "Request":
        """Return what stands for bytes that are no request."""
        return cls("GET", Target.of("/"), [], is_broken=True, problem=problem)

    @property
    def unread(self) -> int:
        """How many bytes of the body nobody has taken yet."""
        return len(self.body) if self.body is not None else 0

    def take_body(self) -> bytes:
        """Return what has come of the body since the last time."""
        body, self.body = self.body, None
        return bytes(body) if body is not None else b""


def _decoded(raw_path: str) -> str:
    if "%" not in raw_path:
        return raw_path
    return unquote_to_bytes(raw_path).decode(errors="replace")

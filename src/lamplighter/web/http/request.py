"""A request as it came, with as much of its body as nobody has taken yet."""

from typing import Final
from urllib.parse import unquote_to_bytes

from lamplighter.errors import RequestError

__all__ = ["Headers", "Request"]

#: Names in lower case, in the order of their coming.
Headers = list[tuple[bytes, bytes]]

_SCHEMES: Final = ("http://", "https://")


class Request:
    """One request of a connection. It is there once its head is; its body comes later.

    What could not be understood is a request as well, with the `problem` to answer it with.
    """

    __slots__ = (
        "authorization",
        "body",
        "expects_continue",
        "headers",
        "is_broken",
        "is_complete",
        "is_http10",
        "keeps_alive",
        "method",
        "path",
        "problem",
        "query",
        "raw_path",
    )

    def __init__(self, method: str, target: str, headers: Headers) -> None:
        """Take the request line's *method* and *target*, percent-encoded as it is."""
        self.method = method
        self.raw_path, self.query = _split(target)
        self.path = _decoded(self.raw_path)
        self.headers = headers
        #: The value of the first header of that name.
        self.authorization: bytes | None = None
        self.expects_continue = False
        self.is_http10 = False
        #: Whether another request may follow on the same connection.
        self.keeps_alive = False
        #: What has come of the body and was not taken; None before any has.
        self.body: bytearray | None = None
        #: Whether all of the body has come.
        self.is_complete = False
        #: Whether the rest of the body will never come.
        self.is_broken = False
        self.problem: RequestError | None = None

    @classmethod
    def of_nonsense(cls, problem: RequestError) -> "Request":
        """Return what stands for bytes that are no request."""
        request = cls("GET", "/", [])
        request.problem = problem
        request.is_broken = True
        return request

    @property
    def unread(self) -> int:
        """How many bytes of the body nobody has taken yet."""
        return len(self.body) if self.body is not None else 0

    def take_body(self) -> bytes:
        """Return what has come of the body since the last time."""
        body, self.body = self.body, None
        return bytes(body) if body is not None else b""


def _split(target: str) -> tuple[str, str]:
    """Return path and query. A client may name scheme and host, as if this were a proxy."""
    if not target.startswith("/") and target.lower().startswith(_SCHEMES):
        host_and_more = target.partition("://")[2]
        target = host_and_more[len(host_and_more.partition("?")[0].partition("/")[0]) :]
        target = target if target.startswith("/") else f"/{target}"
    path, _, query = target.partition("?")
    return path, query


def _decoded(raw_path: str) -> str:
    if "%" not in raw_path:
        return raw_path
    return unquote_to_bytes(raw_path).decode(errors="replace")

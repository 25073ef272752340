"""What HTTP leaves to the program that serves: how errors look, which headers go along, limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.web.http.timeouts import TimeLimits

__all__ = ["MOST_CONNECTIONS", "MOST_UNSENT", "ConnectionRoom", "ErrorResponse", "HttpSettings"]

#: How many connections one process has at most.
MOST_CONNECTIONS: Final = 200_000
#: How many bytes of answers wait, on all connections of one server, until clients read them.
MOST_UNSENT: Final = 128 * 1024 * 1024

_TIME_LIMITS: Final = TimeLimits()


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The answer to a request that failed; `headers` go beside `HttpSettings.json_headers`."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What the server says and allows."""

    #: Returns the answer to a request that failed with an error, given its method and path too.
    error_response: Callable[[Exception, str, str], ErrorResponse]
    #: The headers of every answer in JSON, but for its length.
    json_headers: Sequence[tuple[bytes, bytes]]
    #: How many bytes of a body are kept for a direct endpoint.
    most_body: int
    time_limits: TimeLimits = _TIME_LIMITS
    most_unsent: int = MOST_UNSENT


class ConnectionRoom:
    """How many connections the servers of a process may have together.

    The descriptors of a process are one supply. If each server had its own limit, two servers
    could use up all descriptors, and neither could take a connection or open a file any more.
    """

    def __init__(self, most: int = MOST_CONNECTIONS) -> None:
        self._most = most
        self.taken = 0

    def take(self) -> bool:
        """Take a place, and tell whether there was one."""
        if self.taken >= self._most:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self.taken -= 1

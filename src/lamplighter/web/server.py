"""The HTTP server of Matrix: its errors, its headers and its limits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.types import ASGIApp

from lamplighter.clock import Clock
from lamplighter.web.application import JSON_HEADERS, response_to
from lamplighter.web.bodies import BodiesInTime
from lamplighter.web.body import MAX_BODY
from lamplighter.web.http.exchange import FindDirect
from lamplighter.web.http.server import HttpServer, no_direct
from lamplighter.web.http.settings import ConnectionRoom, HttpSettings
from lamplighter.web.http.timeouts import TimeLimits

__all__ = ["MATRIX", "matrix_server"]

#: HTTP as Matrix has it: errors, the headers for web clients, the largest body.
MATRIX: Final = HttpSettings(response_to, JSON_HEADERS, MAX_BODY)

#: How long a client may take for the head of a request, and for its body.
_SLOWEST: Final = timedelta(seconds=30)


def matrix_server(
    application: ASGIApp,
    clock: Clock,
    *,
    find_direct: FindDirect = no_direct,
    slowest: timedelta = _SLOWEST,
    room: ConnectionRoom | None = None,
    count_refused: Callable[[], None] = lambda: None,
) -> HttpServer:
    """Return a server with the given parts, which are described at `HttpServer`.

    A client has *slowest* for the head of a request, and the same for its body.
    """
    limits = TimeLimits(receiving=slowest, idle=slowest * 2.5)
    return HttpServer(
        BodiesInTime(application, clock, slowest),
        clock,
        replace(MATRIX, time_limits=limits),
        find_direct=find_direct,
        room=room,
        count_refused=count_refused,
    )

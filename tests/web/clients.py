"""Clients of applications, over connections in memory; and ports for those over sockets."""

import socket

from starlette.types import ASGIApp

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.http import HttpClient
from lamplighter.web.http.exchange import FindDirect
from lamplighter.web.http.server import no_direct
from lamplighter.web.server import matrix_server

__all__ = ["client_of", "free_port"]


def client_of(
    application: ASGIApp, *, address: str = "127.0.0.1", find_direct: FindDirect = no_direct
) -> HttpClient:
    """Return a client at *address* of a server whose requests *application* answers."""
    server = matrix_server(application, FakeClock(), find_direct=find_direct)
    return HttpClient(server.connect, address=address)


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

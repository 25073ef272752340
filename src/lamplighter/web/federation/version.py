"""GET /_matrix/federation/v1/version and GET /.well-known/matrix/server.

Implements <https://spec.matrix.org/latest/server-server-api/#get_matrixfederationv1version> and
<https://spec.matrix.org/latest/server-server-api/#getwell-knownmatrixserver>.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter import __version__
from lamplighter.errors import NotFound
from lamplighter.ids import ServerName
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["FederationVersion", "WellKnownServer"]


class FederationVersion:
    """Names the program and its version."""

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/_matrix/federation/v1/version", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        return json_response({"server": {"name": "Lamplighter", "version": __version__}})


class WellKnownServer:
    """Names the server that serves federation; 404 if the operator has not configured one."""

    def __init__(self, server_name: ServerName | None) -> None:
        self._server_name = server_name

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/.well-known/matrix/server", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        if self._server_name is None:
            raise NotFound("This server does not delegate")
        return json_response({"m.server": self._server_name})

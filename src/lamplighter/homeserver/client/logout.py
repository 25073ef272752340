"""POST /logout, POST /logout/all.

Implements <https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3logout>.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.web.auth import Authenticator
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Logout"]


class Logout:
    """Revokes access tokens."""

    def __init__(self, authenticator: Authenticator, accounts: SqlDirectory) -> None:
        self._authenticator = authenticator
        self._accounts = accounts

    def routes(self) -> list[Route]:
        return [
            ClientRoute("POST", "/logout", self.log_out),
            ClientRoute("POST", "/logout/all", self.log_out_all),
        ]

    async def log_out(self, request: Request) -> Response:
        """Log this device out."""
        requester = await self._authenticator.requester(request)
        await self._accounts.log_out(requester)
        return json_response({})

    async def log_out_all(self, request: Request) -> Response:
        """Log all of the requester's devices out, this one too."""
        requester = await self._authenticator.requester(request)
        await self._accounts.log_out_all(requester.user_id)
        return json_response({})

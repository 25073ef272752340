"""GET /capabilities.

Implements <https://spec.matrix.org/latest/client-server-api/#capabilities-negotiation>.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.auth import Authenticator
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Capabilities"]

_CAPABILITIES: Final[dict[str, Any]] = {
    "m.change_password": {"enabled": True},
    "m.set_displayname": {"enabled": True},
    "m.set_avatar_url": {"enabled": True},
    "m.3pid_changes": {"enabled": False},
    "m.get_login_token": {"enabled": False},
    "m.room_versions": {"default": "10", "available": {"10": "stable"}},
}


class Capabilities:
    """Says what a logged-in client can do here."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        return [ClientRoute("GET", "/capabilities", self.get)]

    async def get(self, request: Request) -> Response:
        """Answer every user the same."""
        await self._authenticator.requester(request)
        return json_response({"capabilities": _CAPABILITIES})

"""GET /pushrules/, GET /pushrules/global/.

Implements <https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3pushrules>: clients
want to read their rules before they start; there is nothing here that pushes.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.auth import Authenticator
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["PushRules"]

_RULES: Final[dict[str, list[object]]] = {
    kind: [] for kind in ("override", "content", "room", "sender", "underride")
}


class PushRules:
    """Nobody has rules."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/pushrules/", self.all_rules),
            ClientRoute("GET", "/pushrules/global/", self.global_rules),
        ]

    async def all_rules(self, request: Request) -> Response:
        """Return the one rule set there is."""
        await self._authenticator.requester(request)
        return json_response({"global": _RULES})

    async def global_rules(self, request: Request) -> Response:
        """Return the rules by their kinds."""
        await self._authenticator.requester(request)
        return json_response(_RULES)

"""POST /user/{userId}/filter, GET /user/{userId}/filter/{filterId}.

Implements <https://spec.matrix.org/latest/client-server-api/#filtering>.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.filters import parse_filter
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import own_user_id
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["UploadedFilters"]


class UploadedFilters:
    """The requester's filters, under IDs that `/sync` takes."""

    def __init__(self, authenticator: Authenticator, accounts: SqlDirectory) -> None:
        self._authenticator = authenticator
        self._accounts = accounts

    def routes(self) -> list[Route]:
        return [
            ClientRoute("POST", "/user/{user_id}/filter", self.upload),
            ClientRoute("GET", "/user/{user_id}/filter/{filter_id}", self.get),
        ]

    async def upload(self, request: Request) -> Response:
        """Check a filter and store it, together with its unknown fields."""
        requester, definition = await self._authenticator.requester_and_body(request, Json)
        own = own_user_id(request, requester)
        parse_filter(definition)
        return json_response({"filter_id": await self._accounts.save_filter(own, definition)})

    async def get(self, request: Request) -> Response:
        """Return a filter as it was uploaded."""
        requester = await self._authenticator.requester(request)
        own = own_user_id(request, requester)
        return json_response(await self._accounts.filter(own, request.path_params["filter_id"]))

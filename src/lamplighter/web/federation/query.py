"""GET /_matrix/federation/v1/query/profile.

Implements <https://spec.matrix.org/latest/server-server-api/#get_matrixfederationv1queryprofile>.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam, NotFound
from lamplighter.ids import ServerName, parse_user_id, server_of
from lamplighter.ports import Lookups
from lamplighter.web.federation.auth import XMatrixAuth
from lamplighter.web.fields import query
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["ProfileQuery"]

_FIELDS: Final = ("displayname", "avatar_url")


class ProfileQuery:
    """Gives other servers the profiles of our users."""

    def __init__(self, server_name: ServerName, auth: XMatrixAuth, accounts: Lookups) -> None:
        self._server_name = server_name
        self._auth = auth
        self._accounts = accounts

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/_matrix/federation/v1/query/profile", self.get)]

    async def get(self, request: Request) -> Response:
        """Return the profile of one of our users, or one field of it."""
        await self._auth.origin(request)
        user_id = parse_user_id(query(request, "user_id"))
        field = request.query_params.get("field")
        if field not in (None, *_FIELDS):
            raise InvalidParam(f"field: {field[:60]!r} is none of {', '.join(_FIELDS)}")
        if server_of(user_id) != self._server_name:
            raise NotFound(f"{user_id} is not a user of this server")
        profile = await self._accounts.profile(user_id)
        fields = {"displayname": profile.displayname, "avatar_url": profile.avatar_url}
        chosen = fields if field is None else {field: fields[field]}
        return json_response({name: value for name, value in chosen.items() if value is not None})

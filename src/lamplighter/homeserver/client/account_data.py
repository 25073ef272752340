"""GET/PUT /user/{userId}/account_data/{type}.

And GET/PUT /user/{userId}/rooms/{roomId}/account_data/{type}.

Implements <https://spec.matrix.org/latest/client-server-api/#client-config>.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import NotFound
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomId
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import own_user_id, room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["AccountDataEndpoints"]


class AccountDataEndpoints:
    """The requester's account data, global or of a room."""

    def __init__(self, authenticator: Authenticator, accounts: SqlDirectory) -> None:
        self._authenticator = authenticator
        self._accounts = accounts

    def routes(self) -> list[Route]:
        paths = (
            "/user/{user_id}/account_data/{data_type}",
            "/user/{user_id}/rooms/{room_id}/account_data/{data_type}",
        )
        return [
            *(ClientRoute("GET", path, self.get) for path in paths),
            *(ClientRoute("PUT", path, self.put) for path in paths),
        ]

    async def get(self, request: Request) -> Response:
        """Return the data of a type."""
        requester = await self._authenticator.requester(request)
        own = own_user_id(request, requester)
        content = await self._accounts.account_data(own, _room(request), _data_type(request))
        if content is None:
            raise NotFound(f"There is no account data of the type {_data_type(request)!r}")
        return json_response(content)

    async def put(self, request: Request) -> Response:
        """Store the data of a type."""
        requester, content = await self._authenticator.requester_and_body(request, Json)
        own = own_user_id(request, requester)
        room, data_type = _room(request), _data_type(request)
        await self._accounts.set_account_data(own, room, data_type, content)
        return json_response({})


def _room(request: Request) -> RoomId | None:
    return room_id(request) if "room_id" in request.path_params else None


def _data_type(request: Request) -> str:
    return text("type", request.path_params["data_type"])

"""GET/PUT/DELETE /directory/room/{roomAlias}.

Implements <https://spec.matrix.org/latest/client-server-api/#room-aliases>.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomAlias, ServerName, parse_room_alias, parse_room_id, server_of
from lamplighter.web.auth import Authenticator
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["RoomAliases"]


class _Body(msgspec.Struct):
    room_id: str


class RoomAliases:
    """The names of rooms."""

    def __init__(
        self, authenticator: Authenticator, rooms: SqlDirectory, server_name: ServerName
    ) -> None:
        self._authenticator = authenticator
        self._rooms = rooms
        self._server_name = server_name

    def routes(self) -> list[Route]:
        path = "/directory/room/{room_alias}"
        return [
            ClientRoute("GET", path, self.get),
            ClientRoute("PUT", path, self.put),
            ClientRoute("DELETE", path, self.delete),
        ]

    async def get(self, request: Request) -> Response:
        """Return the room an alias names; anybody may ask."""
        room_id = await self._rooms.resolve_alias(_alias(request))
        return json_response({"room_id": room_id, "servers": [self._server_name]})

    async def put(self, request: Request) -> Response:
        """Name a room."""
        requester, body = await self._authenticator.requester_and_body(request, _Body)
        alias = _alias(request)
        if server_of(alias) != self._server_name:
            raise InvalidParam(f"roomAlias: must end in :{self._server_name}")
        await self._rooms.set_alias(requester.user_id, alias, parse_room_id(body.room_id))
        return json_response({})

    async def delete(self, request: Request) -> Response:
        """Take a name back."""
        requester = await self._authenticator.requester(request)
        await self._rooms.delete_alias(requester.user_id, _alias(request))
        return json_response({})


def _alias(request: Request) -> RoomAlias:
    return parse_room_alias(request.path_params["room_alias"])

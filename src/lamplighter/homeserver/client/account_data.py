"""GET/PUT /user/{userId}/[rooms/{roomId}/]account_data/{type}, POST/GET /user/{userId}/filter.

Implements <https://spec.matrix.org/latest/client-server-api/#client-config> and
<https://spec.matrix.org/latest/client-server-api/#filtering>.
"""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import NotFound
from lamplighter.homeserver.filters import parse_filter
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomId
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import own_user_id, room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["AccountDataEndpoints"]


@dataclass(frozen=True, slots=True)
class AccountDataEndpoints:
    """The requester's account data, global or of a room; and filters, under IDs for `/sync`."""

    authenticator: Authenticator
    directory: SqlDirectory

    def routes(self) -> list[Route]:
        own = "/user/{user_id}"
        paths = [f"{own}{room}/account_data/{{data_type}}" for room in ("", "/rooms/{room_id}")]
        return [
            *(ClientRoute("GET", path, self.get) for path in paths),
            *(ClientRoute("PUT", path, self.put) for path in paths),
            ClientRoute("POST", f"{own}/filter", self.upload_filter),
            ClientRoute("GET", f"{own}/filter/{{filter_id}}", self.filter),
        ]

    async def get(self, request: Request) -> Response:
        """Return the data of a type."""
        requester = await self.authenticator.requester(request)
        own = own_user_id(request, requester)
        room, data_type = _key(request)
        content = await self.directory.account_data(own, room, data_type)
        if content is None:
            raise NotFound(f"There is no account data of the type {data_type!r}")
        return json_response(content)

    async def put(self, request: Request) -> Response:
        """Store the data of a type."""
        requester, content = await self.authenticator.requester_and_body(request, Json)
        own = own_user_id(request, requester)
        await self.directory.set_account_data(own, *_key(request), content)
        return json_response({})

    async def upload_filter(self, request: Request) -> Response:
        """Check a filter and store it, together with its unknown fields."""
        requester, definition = await self.authenticator.requester_and_body(request, Json)
        own = own_user_id(request, requester)
        parse_filter(definition)
        return json_response({"filter_id": await self.directory.save_filter(own, definition)})

    async def filter(self, request: Request) -> Response:
        """Return a filter as it was uploaded."""
        requester = await self.authenticator.requester(request)
        own = own_user_id(request, requester)
        return json_response(await self.directory.filter(own, request.path_params["filter_id"]))


def _key(request: Request) -> tuple[RoomId | None, str]:
    room = room_id(request) if "room_id" in request.path_params else None
    return room, text("type", request.path_params["data_type"])

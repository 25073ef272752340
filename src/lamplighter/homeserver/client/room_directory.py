"""GET/POST /publicRooms, GET/PUT /directory/list/room/{roomId}, GET /rooms/{roomId}/aliases.

And GET/PUT/DELETE /directory/room/{roomAlias}.

Implements <https://spec.matrix.org/latest/client-server-api/#published-room-directory> and
<https://spec.matrix.org/latest/client-server-api/#room-aliases>.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam, NotFound
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomAlias, parse_room_alias, parse_room_id, server_of
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import natural, number, room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["RoomDirectoryEndpoints"]

#: Rooms in one answer, at most.
_MOST: Final = 100


class _Filter(msgspec.Struct):
    generic_search_term: str | None = None


class _Body(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    since: str | None = None
    filter: _Filter = msgspec.field(default_factory=_Filter)


class _Visibility(msgspec.Struct):
    visibility: Literal["public", "private"] = "public"


class _Alias(msgspec.Struct):
    room_id: str


@dataclass(frozen=True, slots=True)
class RoomDirectoryEndpoints:
    """The room directory, and the aliases of rooms."""

    authenticator: Authenticator
    directory: SqlDirectory

    def routes(self) -> list[Route]:
        alias = "/directory/room/{room_alias}"
        return [
            ClientRoute("GET", "/publicRooms", self.list_all),
            ClientRoute("POST", "/publicRooms", self.search),
            ClientRoute("GET", "/directory/list/room/{room_id}", self.visibility),
            ClientRoute("PUT", "/directory/list/room/{room_id}", self.set_visibility),
            ClientRoute("GET", "/rooms/{room_id}/aliases", self.aliases),
            ClientRoute("GET", alias, self.resolve_alias),
            ClientRoute("PUT", alias, self.put_alias),
            ClientRoute("DELETE", alias, self.delete_alias),
        ]

    async def list_all(self, request: Request) -> Response:
        """Return the published rooms. Unlike in the specification, one must be logged in."""
        await self.authenticator.requester(request)
        limit = number(request, "limit", _MOST)
        return await self._page(request, limit, request.query_params.get("since"), "")

    async def search(self, request: Request) -> Response:
        """Return the published rooms with a search term in their name, topic or alias."""
        _, body = await self.authenticator.requester_and_optional_body(request, _Body)
        term = text("filter.generic_search_term", body.filter.generic_search_term or "")
        limit = _MOST if body.limit is None else body.limit
        return await self._page(request, limit, body.since, term)

    async def visibility(self, request: Request) -> Response:
        """Say whether a room is published."""
        await self.authenticator.requester(request)
        published = await self.directory.is_published(room_id(request))
        return json_response({"visibility": "public" if published else "private"})

    async def set_visibility(self, request: Request) -> Response:
        """Publish a room, or no longer."""
        requester, body = await self.authenticator.requester_and_body(request, _Visibility)
        published = body.visibility == "public"
        await self.directory.publish(requester.user_id, room_id(request), published=published)
        return json_response({})

    async def aliases(self, request: Request) -> Response:
        """Return the aliases of a room in which the requester is."""
        requester = await self.authenticator.requester(request)
        found = await self.directory.room_aliases(requester.user_id, room_id(request))
        return json_response({"aliases": list(found)})

    async def resolve_alias(self, request: Request) -> Response:
        """Return the room that an alias names; anybody may ask."""
        room = await self.directory.resolve_alias(_alias(request))
        return json_response({"room_id": room, "servers": [self.directory.server_name]})

    async def put_alias(self, request: Request) -> Response:
        """Give a room an alias."""
        requester, body = await self.authenticator.requester_and_body(request, _Alias)
        alias = _alias(request)
        if server_of(alias) != self.directory.server_name:
            raise InvalidParam(f"roomAlias: must end in :{self.directory.server_name}")
        await self.directory.set_alias(requester.user_id, alias, parse_room_id(body.room_id))
        return json_response({})

    async def delete_alias(self, request: Request) -> Response:
        """Take an alias back."""
        requester = await self.authenticator.requester(request)
        await self.directory.delete_alias(requester.user_id, _alias(request))
        return json_response({})

    async def _page(self, request: Request, limit: int, since: str | None, term: str) -> Response:
        server = request.query_params.get("server")
        if server not in (None, "", self.directory.server_name):
            raise NotFound(
                f"server: this server knows the rooms of {self.directory.server_name} only"
            )
        skip = natural("since", since) if since else 0  # a token is how many rooms were told before
        limit = min(limit, _MOST)
        rooms, total = await self.directory.public_rooms(limit, skip, term)
        page: dict[str, Any] = {"chunk": rooms, "total_room_count_estimate": total}
        if limit and skip + limit < total:
            page["next_batch"] = str(skip + limit)
        if skip:
            page["prev_batch"] = str(max(0, skip - limit))
        return json_response(page)


def _alias(request: Request) -> RoomAlias:
    return parse_room_alias(request.path_params["room_alias"])

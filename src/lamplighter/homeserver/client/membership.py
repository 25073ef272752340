"""POST /join/{roomIdOrAlias}, POST /rooms/{roomId}/{join,leave,...}, GET /joined_rooms.

Under /rooms/{roomId}: join, leave, invite, kick, ban and unban.

Implements <https://spec.matrix.org/latest/client-server-api/#room-membership>.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomId, UserId, parse_room_alias, parse_room_id, parse_user_id
from lamplighter.ports import Requester
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import room_id
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["MembershipEndpoints"]


class _Self(msgspec.Struct):
    reason: str | None = None


class _Other(msgspec.Struct):
    user_id: str
    reason: str | None = None


class MembershipEndpoints:
    """Who is in which room."""

    def __init__(self, authenticator: Authenticator, rooms: SqlDirectory) -> None:
        self._authenticator = authenticator
        self._rooms = rooms

    def routes(self) -> list[Route]:
        return [
            ClientRoute("POST", "/join/{room_id_or_alias}", self.join_by_id_or_alias),
            ClientRoute("POST", "/rooms/{room_id}/join", self.join),
            ClientRoute("POST", "/rooms/{room_id}/leave", self.leave),
            ClientRoute("POST", "/rooms/{room_id}/invite", self.invite),
            ClientRoute("POST", "/rooms/{room_id}/kick", self.kick),
            ClientRoute("POST", "/rooms/{room_id}/ban", self.ban),
            ClientRoute("POST", "/rooms/{room_id}/unban", self.unban),
            ClientRoute("GET", "/joined_rooms", self.joined_rooms),
        ]

    async def join_by_id_or_alias(self, request: Request) -> Response:
        """Join a room that is named by its ID or by an alias."""
        requester, _ = await self._authenticator.requester_and_optional_body(request, _Self)
        room = await self._room(request.path_params["room_id_or_alias"])
        await self._rooms.join(requester.user_id, room)
        return json_response({"room_id": room})

    async def join(self, request: Request) -> Response:
        """Join a room."""
        requester, _ = await self._authenticator.requester_and_optional_body(request, _Self)
        room = room_id(request)
        await self._rooms.join(requester.user_id, room)
        return json_response({"room_id": room})

    async def leave(self, request: Request) -> Response:
        """Leave a room, or reject its invite."""
        requester, _ = await self._authenticator.requester_and_optional_body(request, _Self)
        await self._rooms.leave(requester.user_id, room_id(request))
        return json_response({})

    async def invite(self, request: Request) -> Response:
        """Invite somebody."""
        requester, room, target, _ = await self._about_another(request)
        await self._rooms.invite(requester.user_id, room, target)
        return json_response({})

    async def kick(self, request: Request) -> Response:
        """Make somebody leave."""
        requester, room, target, reason = await self._about_another(request)
        await self._rooms.kick(requester.user_id, room, target, reason)
        return json_response({})

    async def ban(self, request: Request) -> Response:
        """Make somebody leave, and keep them out."""
        requester, room, target, reason = await self._about_another(request)
        await self._rooms.ban(requester.user_id, room, target, reason)
        return json_response({})

    async def unban(self, request: Request) -> Response:
        """Lift a ban."""
        requester, room, target, _ = await self._about_another(request)
        await self._rooms.unban(requester.user_id, room, target)
        return json_response({})

    async def joined_rooms(self, request: Request) -> Response:
        """Return the rooms the requester is joined to."""
        requester = await self._authenticator.requester(request)
        rooms = await self._rooms.joined_rooms(requester.user_id)
        return json_response({"joined_rooms": list(rooms)})

    async def _about_another(
        self, request: Request
    ) -> tuple[Requester, RoomId, UserId, str | None]:
        requester, body = await self._authenticator.requester_and_body(request, _Other)
        return requester, room_id(request), parse_user_id(body.user_id), body.reason

    async def _room(self, id_or_alias: str) -> RoomId:
        if id_or_alias.startswith("#"):
            return await self._rooms.resolve_alias(parse_room_alias(id_or_alias))
        return parse_room_id(id_or_alias)

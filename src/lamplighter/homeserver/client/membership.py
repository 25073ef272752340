"""POST /join/{roomIdOrAlias}, POST /rooms/{roomId}/{join,leave,...}, GET /joined_rooms.

Under /rooms/{roomId}: join, leave, invite, kick, ban and unban.

Implements <https://spec.matrix.org/latest/client-server-api/#room-membership>.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomId, UserId, parse_room_alias, parse_room_id, parse_user_id
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import room_id
from lamplighter.web.routes import ClientRoute, Handler, Route, json_response

__all__ = ["MembershipEndpoints"]


class _Self(msgspec.Struct):
    reason: str | None = None


class _Other(msgspec.Struct):
    user_id: str
    reason: str | None = None


#: What one user does to another one in a room, with a reason.
_Act: TypeAlias = Callable[[UserId, RoomId, UserId, str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class MembershipEndpoints:
    """Joins, leaves, invites, kicks and bans."""

    authenticator: Authenticator
    directory: SqlDirectory

    def routes(self) -> list[Route]:
        rooms = self.directory
        invite = self._on_another(lambda own, room, other, _: rooms.invite(own, room, other))
        unban = self._on_another(lambda own, room, other, _: rooms.unban(own, room, other))
        return [
            ClientRoute("POST", "/join/{room_id_or_alias}", self.join_by_id_or_alias),
            ClientRoute("POST", "/rooms/{room_id}/join", self.join),
            ClientRoute("POST", "/rooms/{room_id}/leave", self.leave),
            ClientRoute("POST", "/rooms/{room_id}/invite", invite),
            ClientRoute("POST", "/rooms/{room_id}/kick", self._on_another(rooms.kick)),
            ClientRoute("POST", "/rooms/{room_id}/ban", self._on_another(rooms.ban)),
            ClientRoute("POST", "/rooms/{room_id}/unban", unban),
            ClientRoute("GET", "/joined_rooms", self.joined_rooms),
        ]

    async def join_by_id_or_alias(self, request: Request) -> Response:
        """Join a room that is named by its ID or by an alias."""
        requester, _ = await self.authenticator.requester_and_optional_body(request, _Self)
        named = request.path_params["room_id_or_alias"]
        if named.startswith("#"):
            room = await self.directory.resolve_alias(parse_room_alias(named))
        else:
            room = parse_room_id(named)
        await self.directory.join(requester.user_id, room)
        return json_response({"room_id": room})

    async def join(self, request: Request) -> Response:
        """Join a room."""
        requester, _ = await self.authenticator.requester_and_optional_body(request, _Self)
        room = room_id(request)
        await self.directory.join(requester.user_id, room)
        return json_response({"room_id": room})

    async def leave(self, request: Request) -> Response:
        """Leave a room, or reject its invite."""
        requester, _ = await self.authenticator.requester_and_optional_body(request, _Self)
        await self.directory.leave(requester.user_id, room_id(request))
        return json_response({})

    async def joined_rooms(self, request: Request) -> Response:
        """Return the rooms to which the requester is joined."""
        requester = await self.authenticator.requester(request)
        rooms = await self.directory.joined_rooms(requester.user_id)
        return json_response({"joined_rooms": list(rooms)})

    def _on_another(self, act: _Act) -> Handler:
        """Return the handler that does *act* to the user whom the body names."""

        async def handle(request: Request) -> Response:
            requester, body = await self.authenticator.requester_and_body(request, _Other)
            target = parse_user_id(body.user_id)
            await act(requester.user_id, room_id(request), target, body.reason)
            return json_response({})

        return handle

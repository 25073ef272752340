"""POST /createRoom.

Implements <https://spec.matrix.org/latest/client-server-api/#creation>.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import InitialState, NewRoom
from lamplighter.ids import parse_room_alias, parse_user_id
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import text
from lamplighter.web.limits import Limiter
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["CreateRoom"]


class _Body(msgspec.Struct):
    preset: Literal["private_chat", "public_chat", "trusted_private_chat"] | None = None
    visibility: Literal["public", "private"] | None = None
    name: str | None = None
    topic: str | None = None
    room_alias_name: str | None = None
    invite: list[str] | None = None
    initial_state: list[InitialState] | None = None
    creation_content: Json | None = None
    power_level_content_override: Json | None = None
    is_direct: bool | None = None


@dataclass(frozen=True, slots=True)
class CreateRoom:
    """Creates rooms; limited per user."""

    authenticator: Authenticator
    directory: SqlDirectory
    limiter: Limiter

    def routes(self) -> list[Route]:
        return [ClientRoute("POST", "/createRoom", self.create)]

    async def create(self, request: Request) -> Response:
        """Create a room with the requester in it."""
        requester, body = await self.authenticator.requester_and_optional_body(request, _Body)
        room = self._new_room(body)
        self.limiter.take(("createRoom", requester.user_id))
        room_id = await self.directory.create_room(requester.user_id, room)
        return json_response({"room_id": room_id})

    def _new_room(self, body: _Body) -> NewRoom:
        visibility, alias = body.visibility or "private", None
        for event in body.initial_state or ():
            text("initial_state.type", event.type)
            text("initial_state.state_key", event.state_key)
        if body.room_alias_name is not None:
            alias = parse_room_alias(f"#{body.room_alias_name}:{self.directory.server_name}")
        return NewRoom(
            preset=body.preset or f"{visibility}_chat",
            visibility=visibility,
            name=body.name,
            topic=body.topic,
            alias=alias,
            invite=[parse_user_id(user_id) for user_id in body.invite or ()],
            initial_state=body.initial_state or (),
            creation_content=body.creation_content or {},
            power_level_content_override=body.power_level_content_override or {},
            is_direct=body.is_direct or False,
        )

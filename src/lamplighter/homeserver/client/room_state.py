"""GET /rooms/{roomId}/{members,joined_members,state}, GET/PUT .../state/{eventType}/{stateKey}.

Implements <https://spec.matrix.org/latest/client-server-api/#getting-events-for-a-room> and
<https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey>.
"""

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.client.metered import MeteredAuthenticator
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import MemberState
from lamplighter.ports import Json
from lamplighter.web.fields import room_id, text
from lamplighter.web.in_pieces import JsonInPieces
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["RoomState"]


@dataclass(frozen=True, slots=True)
class RoomState:
    """A room's state; setting it is an activity of the requester."""

    authenticator: MeteredAuthenticator
    directory: SqlDirectory

    def routes(self) -> list[Route]:
        # Without a state key it is the empty one, with or without the slash before it.
        events = [
            f"/rooms/{{room_id}}/state/{{event_type}}{key}" for key in ("", "/", "/{state_key}")
        ]
        return [
            ClientRoute("GET", "/rooms/{room_id}/members", self.members),
            ClientRoute("GET", "/rooms/{room_id}/joined_members", self.joined_members),
            ClientRoute("GET", "/rooms/{room_id}/state", self.state),
            *(ClientRoute("GET", path, self.state_event) for path in events),
            *(ClientRoute("PUT", path, self.set_state) for path in events),
        ]

    async def members(self, request: Request) -> Response:
        """Return the membership events, those of one membership or without one where asked."""
        requester = await self.authenticator.requester(request)
        wanted = _membership(request, "membership")
        unwanted = _membership(request, "not_membership")
        state = await self.directory.state(requester.user_id, room_id(request))
        chunk = (event for event in state if _is_member(event, wanted, unwanted))
        return JsonInPieces({"chunk": chunk})

    async def joined_members(self, request: Request) -> Response:
        """Return the joined members, with display names and avatars."""
        requester = await self.authenticator.requester(request)
        members = await self.directory.joined_members(requester.user_id, room_id(request))
        shown = {
            user_id: {"display_name": it.displayname, "avatar_url": it.avatar_url}
            for user_id, it in members.items()
        }
        joined = {user_id: msgspec.Raw(msgspec.json.encode(it)) for user_id, it in shown.items()}
        return JsonInPieces({"joined": joined})

    async def state(self, request: Request) -> Response:
        """Return all state events."""
        requester = await self.authenticator.requester(request)
        state = await self.directory.state(requester.user_id, room_id(request))
        return JsonInPieces(state)

    async def state_event(self, request: Request) -> Response:
        """Return the content of one state event, or with `format=event` the whole of it."""
        requester = await self.authenticator.requester(request)
        event_type, state_key = _event(request)
        event = await self.directory.state_event(
            requester.user_id, room_id(request), event_type, state_key
        )
        whole = request.query_params.get("format") == "event"
        return json_response(event if whole else event["content"])

    async def set_state(self, request: Request) -> Response:
        """Set one piece of state."""
        requester, content = await self.authenticator.requester_and_body(request, Json)
        room = room_id(request)
        event_type, state_key = _event(request)
        event_id = await self.directory.set_state(
            requester.user_id, room, event_type, state_key, content
        )
        await self.authenticator.note_activity(request)
        return json_response({"event_id": event_id})


def _event(request: Request) -> tuple[str, str]:
    event_type = text("eventType", request.path_params["event_type"])
    return event_type, text("stateKey", request.path_params.get("state_key", ""))


def _membership(request: Request, name: str) -> str | None:
    value = request.query_params.get(name)
    allowed = [*MemberState, "knock"]
    if value is not None and value not in allowed:
        raise InvalidParam(f"{name}: must be one of {', '.join(allowed)}")
    return value


def _is_member(event: Json, wanted: str | None, unwanted: str | None) -> bool:
    if event["type"] != "m.room.member":
        return False
    membership = event["content"].get("membership")
    return wanted in (None, membership) and membership != unwanted

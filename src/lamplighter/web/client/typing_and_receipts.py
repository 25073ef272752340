"""PUT/POST /rooms/{roomId}/{typing/{userId},receipt/{type}/{eventId},read_markers}.

Implements, of <https://spec.matrix.org/latest/client-server-api/#typing-notifications> and
<https://spec.matrix.org/latest/client-server-api/#receipts>, what presence wants to know: that the
person did something. Nobody else is told who types or has read what.
"""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import Forbidden, InvalidParam
from lamplighter.ports import Requester, Rooms
from lamplighter.web.auth import Authenticator
from lamplighter.web.client.activity import Activity
from lamplighter.web.fields import own_user_id, room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["TypingAndReceipts"]

_RECEIPTS: Final = ("m.read", "m.read.private", "m.fully_read")


class _Typing(msgspec.Struct):
    typing: bool
    timeout: int | None = None


class _Receipt(msgspec.Struct):
    thread_id: str | None = None


class _ReadMarkers(msgspec.Struct):
    fully_read: str | None = msgspec.field(name="m.fully_read", default=None)
    read: str | None = msgspec.field(name="m.read", default=None)
    read_private: str | None = msgspec.field(name="m.read.private", default=None)


class TypingAndReceipts:
    """Activities of members of a room."""

    def __init__(self, authenticator: Authenticator, rooms: Rooms, activity: Activity) -> None:
        self._authenticator = authenticator
        self._rooms = rooms
        self._activity = activity

    def routes(self) -> list[Route]:
        return [
            ClientRoute("PUT", "/rooms/{room_id}/typing/{user_id}", self.typing),
            ClientRoute("POST", "/rooms/{room_id}/receipt/{receipt_type}/{event_id}", self.receipt),
            ClientRoute("POST", "/rooms/{room_id}/read_markers", self.read_markers),
        ]

    async def typing(self, request: Request) -> Response:
        """Take notice that the requester types, or has stopped."""
        requester, _ = await self._authenticator.requester_and_body(request, _Typing)
        own_user_id(request, requester)
        return await self._act(request, requester)

    async def receipt(self, request: Request) -> Response:
        """Take notice that the requester has read up to an event."""
        requester, _ = await self._authenticator.requester_and_optional_body(request, _Receipt)
        if request.path_params["receipt_type"] not in _RECEIPTS:
            raise InvalidParam(f"receiptType: must be one of {', '.join(_RECEIPTS)}")
        text("eventId", request.path_params["event_id"])
        return await self._act(request, requester)

    async def read_markers(self, request: Request) -> Response:
        """Take notice that the requester has read up to some events."""
        requester, _ = await self._authenticator.requester_and_body(request, _ReadMarkers)
        return await self._act(request, requester)

    async def _act(self, request: Request, requester: Requester) -> Response:
        room = room_id(request)
        if room not in await self._rooms.joined_rooms(requester.user_id):
            raise Forbidden(f"You are not joined to {room}")
        await self._activity.note(request)
        return json_response({})

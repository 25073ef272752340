"""PUT/POST /rooms/{roomId}/{typing/{userId},receipt/{type}/{eventId},read_markers}.

Implements, of <https://spec.matrix.org/latest/client-server-api/#typing-notifications> and
<https://spec.matrix.org/latest/client-server-api/#receipts>, what presence wants to know: that the
person did something. Nobody else is told who types or has read what.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import Forbidden, InvalidParam
from lamplighter.ids import RoomId
from lamplighter.ports import Requester, Rooms
from lamplighter.web.auth import Authenticator
from lamplighter.web.body import read, read_optional
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
    """Activities of members of a room; the requester is given to *acted*."""

    def __init__(
        self, authenticator: Authenticator, rooms: Rooms, acted: Callable[[Requester], None]
    ) -> None:
        self._authenticator = authenticator
        self._rooms = rooms
        self._acted = acted

    def routes(self) -> list[Route]:
        return [
            ClientRoute("PUT", "/rooms/{room_id}/typing/{user_id}", self.typing),
            ClientRoute("POST", "/rooms/{room_id}/receipt/{receipt_type}/{event_id}", self.receipt),
            ClientRoute("POST", "/rooms/{room_id}/read_markers", self.read_markers),
        ]

    async def typing(self, request: Request) -> Response:
        """Take notice that the requester types, or has stopped."""
        requester = await self._authenticator.requester(request)
        own_user_id(request, requester)
        await read(request, _Typing)
        return await self._act(requester, room_id(request))

    async def receipt(self, request: Request) -> Response:
        """Take notice that the requester has read up to an event."""
        requester = await self._authenticator.requester(request)
        if request.path_params["receipt_type"] not in _RECEIPTS:
            raise InvalidParam(f"receiptType: must be one of {', '.join(_RECEIPTS)}")
        text("eventId", request.path_params["event_id"])
        await read_optional(request, _Receipt)
        return await self._act(requester, room_id(request))

    async def read_markers(self, request: Request) -> Response:
        """Take notice that the requester has read up to some events."""
        requester = await self._authenticator.requester(request)
        await read(request, _ReadMarkers)
        return await self._act(requester, room_id(request))

    async def _act(self, requester: Requester, room: RoomId) -> Response:
        if room not in await self._rooms.joined_rooms(requester.user_id):
            raise Forbidden(f"You are not joined to {room}")
        self._acted(requester)
        return json_response({})

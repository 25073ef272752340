"""PUT /rooms/{roomId}/send/{eventType}/{txnId}.

Implements <https://spec.matrix.org/latest/client-server-api/#sending-events-to-a-room>.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.ports import Requester, Rooms
from lamplighter.web.auth import Authenticator
from lamplighter.web.body import read_object
from lamplighter.web.fields import room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Send"]


class Send:
    """Sends message events, encrypted ones too: an activity, which is told to *acted*."""

    def __init__(
        self, authenticator: Authenticator, rooms: Rooms, acted: Callable[[Requester], None]
    ) -> None:
        self._authenticator = authenticator
        self._rooms = rooms
        self._acted = acted

    def routes(self) -> list[Route]:
        return [ClientRoute("PUT", "/rooms/{room_id}/send/{event_type}/{txn_id}", self.send)]

    async def send(self, request: Request) -> Response:
        """Send an event; the same transaction of a device sends once."""
        requester = await self._authenticator.requester(request)
        room = room_id(request)
        event_type = text("eventType", request.path_params["event_type"])
        txn_id = text("txnId", request.path_params["txn_id"])
        content = await read_object(request)
        event_id = await self._rooms.send_event(requester, room, event_type, content, txn_id)
        self._acted(requester)
        return json_response({"event_id": event_id})

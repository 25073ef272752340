"""PUT /rooms/{roomId}/send/{eventType}/{txnId}.

Implements <https://spec.matrix.org/latest/client-server-api/#sending-events-to-a-room>.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.client.activity import ActivityNotes
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.fields import room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Send"]


class Send:
    """Sends message events, encrypted ones too: an activity of the requester."""

    def __init__(
        self, authenticator: Authenticator, rooms: SqlDirectory, activity: ActivityNotes
    ) -> None:
        self._authenticator = authenticator
        self._rooms = rooms
        self._activity = activity

    def routes(self) -> list[Route]:
        return [ClientRoute("PUT", "/rooms/{room_id}/send/{event_type}/{txn_id}", self.send)]

    async def send(self, request: Request) -> Response:
        """Send an event; the same transaction of a device sends once."""
        requester, content = await self._authenticator.requester_and_body(request, Json)
        room = room_id(request)
        event_type = text("eventType", request.path_params["event_type"])
        txn_id = text("txnId", request.path_params["txn_id"])
        event_id = await self._rooms.send_event(requester, room, event_type, content, txn_id)
        await self._activity.note(request)
        return json_response({"event_id": event_id})

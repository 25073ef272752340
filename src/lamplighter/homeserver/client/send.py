"""PUT/POST /rooms/{roomId}/{send/...,typing/{userId},receipt/{type}/{eventId},read_markers}.

Implements <https://spec.matrix.org/latest/client-server-api/#sending-events-to-a-room>,
<https://spec.matrix.org/latest/client-server-api/#typing-notifications>,
<https://spec.matrix.org/latest/client-server-api/#receipts> and
<https://spec.matrix.org/latest/client-server-api/#fully-read-markers>. All of them are activities
except `m.read.private`: a user who reads in private does not want to be seen reading.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.client.metered import MeteredAuthenticator
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import Receipt
from lamplighter.ids import RoomId
from lamplighter.ports import Json, Requester
from lamplighter.web.fields import own_user_id, room_id, text
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["Send"]

_READ: Final = "m.read"
_PRIVATE: Final = "m.read.private"
_FULLY_READ: Final = "m.fully_read"
_RECEIPTS: Final = (_READ, _PRIVATE, _FULLY_READ)
#: The duration of a typing notice that has none.
_DEFAULT_TIMEOUT: Final = timedelta(seconds=30)
#: In milliseconds; the directory cuts typing notices shorter.
_LONGEST_TIMEOUT: Final = 86_400_000


class _Typing(msgspec.Struct):
    typing: bool
    timeout: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Receipt(msgspec.Struct):
    thread_id: str | None = None


class _ReadMarkers(msgspec.Struct):
    fully_read: str | None = msgspec.field(name="m.fully_read", default=None)
    read: str | None = msgspec.field(name="m.read", default=None)
    read_private: str | None = msgspec.field(name="m.read.private", default=None)


@dataclass(frozen=True, slots=True)
class Send:
    """Messages, typing notices and receipts that members of a room send to it."""

    authenticator: MeteredAuthenticator
    directory: SqlDirectory

    def routes(self) -> list[Route]:
        room = "/rooms/{room_id}"
        return [
            ClientRoute("PUT", f"{room}/send/{{event_type}}/{{txn_id}}", self.send),
            ClientRoute("PUT", f"{room}/typing/{{user_id}}", self.typing),
            ClientRoute("POST", f"{room}/receipt/{{receipt_type}}/{{event_id}}", self.receipt),
            ClientRoute("POST", f"{room}/read_markers", self.read_markers),
        ]

    async def send(self, request: Request) -> Response:
        """Send an event; the same transaction of a device sends once."""
        requester, content = await self.authenticator.requester_and_body(request, Json)
        room = room_id(request)
        event_type = text("eventType", request.path_params["event_type"])
        txn_id = text("txnId", request.path_params["txn_id"])
        event_id = await self.directory.send_event(requester, room, event_type, content, txn_id)
        await self.authenticator.note_activity(request)
        return json_response({"event_id": event_id})

    async def typing(self, request: Request) -> Response:
        """Tell the members that the requester types, or has stopped."""
        requester, body = await self.authenticator.requester_and_body(request, _Typing)
        own = own_user_id(request, requester)
        timeout = _DEFAULT_TIMEOUT
        if body.timeout is not None:
            timeout = timedelta(milliseconds=min(body.timeout, _LONGEST_TIMEOUT))
        await self.directory.set_typing(own, room_id(request), timeout if body.typing else None)
        if body.typing:  # that it has stopped is what a timer says
            await self.authenticator.note_activity(request)
        return json_response({})

    async def receipt(self, request: Request) -> Response:
        """Store that the requester has read up to an event."""
        requester, body = await self.authenticator.requester_and_optional_body(request, _Receipt)
        kind = request.path_params["receipt_type"]
        if kind not in _RECEIPTS:
            raise InvalidParam(f"receiptType: must be one of {', '.join(_RECEIPTS)}")
        event_id = text("eventId", request.path_params["event_id"])
        if body.thread_id is not None:
            if not text("thread_id", body.thread_id):
                raise InvalidParam("thread_id: must not be empty")
            if kind == _FULLY_READ:
                raise InvalidParam(f"thread_id: {_FULLY_READ} is of the whole room")
        await self._read(requester, room_id(request), kind, event_id, body.thread_id)
        if kind != _PRIVATE:
            await self.authenticator.note_activity(request)
        return json_response({})

    async def read_markers(self, request: Request) -> Response:
        """Store that the requester has read up to some events."""
        requester, body = await self.authenticator.requester_and_body(request, _ReadMarkers)
        room = room_id(request)
        marks = {_FULLY_READ: body.fully_read, _READ: body.read, _PRIVATE: body.read_private}
        for kind, event_id in marks.items():
            if event_id is not None:
                await self._read(requester, room, kind, text(kind, event_id), None)
        is_public = body.read is not None or body.fully_read is not None
        if is_public and body.read_private is None:
            await self.authenticator.note_activity(request)
        return json_response({})

    async def _read(
        self, requester: Requester, room: RoomId, kind: str, event_id: str, thread_id: str | None
    ) -> None:
        own = requester.user_id
        if kind == _FULLY_READ:
            await self.directory.event(requester, room, event_id)
            content = {"event_id": event_id}
            await self.directory.set_account_data(own, room, _FULLY_READ, content)
            return
        receipt = Receipt(event_id, is_private=kind == _PRIVATE, thread_id=thread_id)
        await self.directory.set_receipt(own, room, receipt)

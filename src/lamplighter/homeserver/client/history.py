"""GET /rooms/{roomId}/messages, GET /rooms/{roomId}/{context,event}/{eventId}.

Implements <https://spec.matrix.org/latest/client-server-api/#getting-events-for-a-room> and
<https://spec.matrix.org/latest/client-server-api/#event-context>.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.delivery.tokens import Tokens
from lamplighter.errors import BadJson, InvalidParam, NotJson
from lamplighter.homeserver.filters import parse_filter
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import MessagesQuery
from lamplighter.ports import Json
from lamplighter.web.auth import Authenticator
from lamplighter.web.body import decode
from lamplighter.web.fields import number, query, room_id, text
from lamplighter.web.in_pieces import JsonInPieces
from lamplighter.web.routes import ClientRoute, Route, json_response

__all__ = ["HistoryEndpoints"]

_DEFAULT_LIMIT: Final = 10


@dataclass(frozen=True, slots=True)
class HistoryEndpoints:
    """Pages of a room's events."""

    authenticator: Authenticator
    directory: SqlDirectory
    tokens: Tokens

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/rooms/{room_id}/messages", self.messages),
            ClientRoute("GET", "/rooms/{room_id}/context/{event_id}", self.context),
            ClientRoute("GET", "/rooms/{room_id}/event/{event_id}", self.event),
        ]

    async def messages(self, request: Request) -> Response:
        """Return a page of the room's events, backwards or forwards from a token."""
        requester, room = await self.authenticator.requester(request), room_id(request)
        direction = query(request, "dir")
        if direction not in ("b", "f"):
            raise InvalidParam("dir: must be b or f")
        wanted = MessagesQuery(
            start=self._token(request, "from"),
            until=self._token(request, "to"),
            backwards=direction == "b",
            limit=number(request, "limit", _DEFAULT_LIMIT),
            filter=_filter(request),
        )
        return JsonInPieces(await self.directory.messages(requester, room, wanted))

    async def context(self, request: Request) -> Response:
        """Return an event with those before it and after it."""
        requester = await self.authenticator.requester(request)
        limit = number(request, "limit", _DEFAULT_LIMIT)
        found = await self.directory.context(
            requester, room_id(request), _event_id(request), limit, _filter(request)
        )
        return JsonInPieces(found)

    async def event(self, request: Request) -> Response:
        """Return one event."""
        requester = await self.authenticator.requester(request)
        found = await self.directory.event(requester, room_id(request), _event_id(request))
        return json_response(found)

    def _token(self, request: Request, name: str) -> str | None:
        """Return the rooms part of a token: clients give those of `/sync`, too."""
        token = request.query_params.get(name)
        if not token:
            return None
        return self.tokens.read(token).rooms or token


def _event_id(request: Request) -> str:
    return text("eventId", request.path_params["event_id"])


def _filter(request: Request) -> Json:
    """Return the query's `filter`, a `RoomEventFilter`; raise what `parse_filter` raises."""
    given = request.query_params.get("filter")
    if not given:
        return {}
    try:
        definition: Json = decode(given.encode(), Json)
    except NotJson:
        raise NotJson("filter: not JSON") from None
    except BadJson:
        raise BadJson("filter: not an object, or nested too deeply") from None
    parse_filter({"room": {"timeline": definition}})
    return definition

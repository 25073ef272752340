"""GET /events, GET /initialSync and GET /rooms/{roomId}/initialSync: deprecated, still in use.

Implements <https://spec.matrix.org/legacy/r0.6.1/client_server#get-matrix-client-r0-events> and
its neighbours. In their answers, the content of presence holds `user_id`.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import UserId
from lamplighter.ports import Json, Requester, RequestHead, SyncRequest
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.web.client.long_poll import LONGEST_POLL, News, SyncQuestion
from lamplighter.web.client.parts import ClientParts
from lamplighter.web.client.presence_events import presence_event
from lamplighter.web.client.sync import milliseconds_in
from lamplighter.web.fields import natural, room_id
from lamplighter.web.in_pieces import HeldResponse, JsonInPieces
from lamplighter.web.routes import ClientRoute, Route

__all__ = ["Events"]

#: How long `/events` waits for a client that gives no time-out.
_DEFAULT_TIMEOUT: Final = timedelta(seconds=30)
_DEFAULT_LIMIT: Final = 10
_MOST_EVENTS: Final = 100
#: The request to the rooms half where the answer has rooms one by one, or no rooms.
_ROOMS_ASIDE: Final = SyncRequest(filter='{"room":{"timeline":{"limit":0}}}')


class Events:
    """The endpoints that clients used before there was `/sync`."""

    def __init__(self, directory: SqlDirectory, parts: ClientParts) -> None:
        self._directory = directory
        self._authenticator = parts.authenticator
        self._reader = parts.core.reader
        self._long_poll = parts.long_poll
        self._tokens = parts.tokens
        self._clock = parts.clock
        self._places = parts.places

    def routes(self) -> list[Route]:
        return [
            ClientRoute("GET", "/events", self.events),
            ClientRoute("GET", "/initialSync", self.initial_sync),
            ClientRoute("GET", "/rooms/{room_id}/initialSync", self.room_initial_sync),
        ]

    async def events(self, request: Request) -> Response:
        """Wait for events after the token `from`; marks the user online."""
        requester = await self._authenticator.requester(request)
        given = request.query_params.get("timeout")
        timeout = milliseconds_in("timeout", given) if given else _DEFAULT_TIMEOUT
        start = request.query_params.get("from") or await self._token(request)
        since = self._tokens.read(start)
        asked = SyncRequest(since=since.rooms, timeout=min(timeout, LONGEST_POLL))
        question = SyncQuestion(since, asked, set_presence=Presence.ONLINE)
        news = await self._news(request, requester, question)
        chunk = [*self._presence_events(news.states), *_room_events(news)]
        return JsonInPieces({"start": start, "end": self._next_batch(news), "chunk": iter(chunk)})

    async def initial_sync(self, request: Request) -> Response:
        """Return everything: rooms, presence, and the token to go on from with `/events`."""
        requester = await self._authenticator.requester(request)
        limit = _limit(request)
        news = await self._news(request, requester, SyncQuestion(request=_ROOMS_ASIDE))
        account_data: Json = _decoded(news).get("account_data", {})
        leave = await self._places.take(requester.user_id)
        content = {
            "end": self._next_batch(news),
            "rooms": self._rooms(requester.user_id, limit),
            "presence": self._presence_events(news.states),
            "account_data": account_data.get("events", []),
            "receipts": [],
        }
        return HeldResponse(JsonInPieces(content), leave)

    async def _rooms(self, user_id: UserId, limit: int) -> AsyncIterator[Json]:
        """Read the user's rooms, each when the one before it is sent."""
        for room in await self._directory.joined_rooms(user_id):
            yield await self._directory.room_initial_sync(user_id, room, limit)

    async def room_initial_sync(self, request: Request) -> Response:
        """Return one room, and the presence of the members who are visible to the requester."""
        requester = await self._authenticator.requester(request)
        room = room_id(request)
        content = await self._directory.room_initial_sync(requester.user_id, room, _limit(request))
        members = await self._directory.joined_members(requester.user_id, room)
        reading = await self._reader.read_everybody(requester.user_id)
        states = [it.state for it in reading.updates if it.state.user_id in members]
        presence = self._presence_events(states)
        return JsonInPieces({**content, "presence": presence, "receipts": []})

    async def _token(self, request: Request) -> str:
        """Return the token of now, for a request without `from`."""
        requester = await self._authenticator.requester(request)
        question = SyncQuestion(request=_ROOMS_ASIDE, set_presence=Presence.OFFLINE)
        return self._next_batch(await self._news(request, requester, question))

    async def _news(self, request: Request, requester: Requester, question: SyncQuestion) -> News:
        head = RequestHead(request.headers.raw)
        return await self._long_poll.news(requester, question, request.receive, head)

    def _next_batch(self, news: News) -> str:
        return self._tokens.write(news.rooms.next_batch, news.position, news.told_until)

    def _presence_events(self, states: Sequence[UserPresenceState]) -> Iterator[Json]:
        now = self._clock.now()

        def shown(state: UserPresenceState) -> Json:
            event = presence_event(state, now)
            event["content"] = {**event["content"], "user_id": event["sender"]}
            return event

        return map(shown, states)


def _room_events(news: News) -> list[Json]:
    rooms: dict[str, dict[str, Any]] = _decoded(news).get("rooms", {})
    return [
        {**event, "room_id": room_id}
        for part in ("join", "leave")
        for room_id, room in rooms.get(part, {}).items()
        for event in room.get("timeline", {}).get("events", ())
    ]


def _decoded(news: News) -> Json:
    content: Json = msgspec.json.decode(bytes(news.rooms.body))
    return content


def _limit(request: Request) -> int:
    given = request.query_params.get("limit")
    return _DEFAULT_LIMIT if given is None else min(natural("limit", given), _MOST_EVENTS)

"""What the homeserver tells Lamplighter as an application service.

Implements <https://spec.matrix.org/latest/application-service-api/#pushing-events>. Every event of
every room with a local user comes here. Lamplighter looks at memberships only, and takes them for
hints (`rooms.py`). It answers each transaction with 200: after one failure the homeserver sends
nothing for up to nine minutes. The answer comes at once, but on many nodes: there it waits until
all nodes know what has become of a hint, two seconds for each step. A node that dies before sends
no answer, and the homeserver tells another one.
"""

import hmac
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from lamplighter.errors import Forbidden, InvalidId, NotFound
from lamplighter.homeserver.upstream.rooms import UpstreamRooms
from lamplighter.ids import RoomId, UserId, parse_room_id, parse_user_id
from lamplighter.web.auth import access_token
from lamplighter.web.routes import MatrixRoute, NothingElse, json_response

__all__ = ["ServiceEndpoints"]

_PREFIX: Final = "/_matrix/app/v1"
#: The largest transaction that is looked at, in bytes: 100 events of 64 KiB, and profiles.
_MOST: Final = 32 * 1024 * 1024


class _Event(msgspec.Struct):
    # Of any type: one event that nobody understands must not hide the others.
    type: Any = None
    room_id: Any = None
    state_key: Any = None


class _Transaction(msgspec.Struct):
    events: list[_Event] = []


class ServiceEndpoints:
    """The endpoints that only the homeserver uses; `hs_token` proves that it is the homeserver."""

    def __init__(self, hs_token: str, rooms: UpstreamRooms, refused: Callable[[], None]) -> None:
        """*refused* is called each time somebody comes with another token."""
        self._hs_token = hs_token.encode()
        self._refused = refused
        self._rooms = rooms

    def routes(self) -> list[BaseRoute]:
        return [
            MatrixRoute("PUT", f"{_PREFIX}/transactions/{{txn_id}}", self.transaction),
            MatrixRoute("POST", f"{_PREFIX}/ping", self.ping, is_read=True),
            MatrixRoute("GET", f"{_PREFIX}/users/{{user_id}}", self.nobody),
            MatrixRoute("GET", f"{_PREFIX}/rooms/{{alias}}", self.nobody),
            NothingElse("/_matrix/app"),
        ]

    async def transaction(self, request: Request) -> Response:
        """Take in what has happened; all is well whatever it is."""
        self._check(request)
        await self._rooms.transaction(_memberships(await _body(request)))
        return json_response({})

    async def ping(self, request: Request) -> Response:
        """Say that we are here."""
        self._check(request)
        return json_response({})

    async def nobody(self, request: Request) -> Response:
        """Say that we have no user and no alias of our own."""
        self._check(request)
        raise NotFound("Lamplighter has no users and no aliases of its own")

    def _check(self, request: Request) -> None:
        token = access_token(request.scope["headers"], request.scope["query_string"])
        if not hmac.compare_digest(token.encode("latin-1", "replace"), self._hs_token):
            self._refused()
            raise Forbidden("This is not the homeserver's token")


async def _body(request: Request) -> bytes:
    """Return the body; nothing if it is too large to be looked at."""
    body = bytearray()
    try:
        async for piece in request.stream():
            if len(body) <= _MOST:
                body += piece
    except ClientDisconnect:
        return b""
    return bytes(body) if len(body) <= _MOST else b""


def _memberships(body: bytes) -> list[tuple[RoomId, UserId]]:
    """Return whose membership of which room has changed."""
    try:
        events = msgspec.json.decode(body, type=_Transaction).events
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return []
    found = []
    for event in events:
        if event.type == "m.room.member" and isinstance(event.state_key, str):
            try:
                found.append((parse_room_id(str(event.room_id)), parse_user_id(event.state_key)))
            except InvalidId:
                continue
    return found

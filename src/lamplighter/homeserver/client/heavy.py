"""Reads that may be expensive: a user has a few of them at a time (`web/places.py`).

A read has its place until the answer is sent: the answer is made while it is sent.

First syncs, and `initialSync`, take their places themselves.
"""

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.auth import Authenticator
from lamplighter.web.in_pieces import HeldResponse
from lamplighter.web.places import Places
from lamplighter.web.routes import ClientRoute, Handler, Route

__all__ = ["HEAVY", "HeavyReads"]

#: Methods and paths, without the prefix of the client API. Their answers grow with the room, or
#: with the server.
HEAVY: Final = frozenset(
    {
        ("GET", "/publicRooms"),
        ("GET", "/rooms/{room_id}/context/{event_id}"),
        ("GET", "/rooms/{room_id}/initialSync"),
        ("GET", "/rooms/{room_id}/joined_members"),
        ("GET", "/rooms/{room_id}/members"),
        ("GET", "/rooms/{room_id}/messages"),
        ("GET", "/rooms/{room_id}/state"),
        ("POST", "/publicRooms"),
        ("POST", "/user_directory/search"),
    }
)
_PREFIX: Final = "/_matrix/client/v3"


class HeavyReads:
    """Makes requests to some routes wait until their user has a place for them."""

    def __init__(self, authenticator: Authenticator, places: Places) -> None:
        self._authenticator = authenticator
        self._places = places

    def held(self, routes: Iterable[Route]) -> list[Route]:
        """Return *routes*; those of `HEAVY` take a place, and are reads whatever their method."""
        return [self._held(route) for route in routes]

    def _held(self, route: Route) -> Route:
        path = route.path.removeprefix(_PREFIX)
        for method in route.methods or ():
            if (method, path) in HEAVY:
                return ClientRoute(method, path, self._in_place(route.endpoint), is_read=True)
        return route

    def _in_place(self, handler: Handler) -> Handler:
        async def wait(request: Request) -> Response:
            requester = await self._authenticator.requester(request)
            leave = await self._places.take(requester.user_id)
            try:
                return HeldResponse(await handler(request), leave)
            except BaseException:
                leave()
                raise

        return wait

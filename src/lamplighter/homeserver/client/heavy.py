"""Expensive reads: a user has a few of them at a time (`web/places.py`).

A read has its place until the answer is sent: the answer is made while it is sent. First syncs and
`initialSync` take their places themselves.
"""

from collections.abc import Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.auth import Authenticator
from lamplighter.web.in_pieces import HeldResponse
from lamplighter.web.places import Places
from lamplighter.web.routes import ClientRoute, Handler, Route

__all__ = ["HEAVY", "held"]

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


def held(routes: Iterable[Route], authenticator: Authenticator, places: Places) -> list[Route]:
    """Return *routes*; those of `HEAVY` take a place, and are reads whatever their method."""

    def in_place(handler: Handler) -> Handler:
        async def wait(request: Request) -> Response:
            requester = await authenticator.requester(request)
            leave = await places.take(requester.user_id)
            try:
                return HeldResponse(await handler(request), leave)
            except BaseException:
                leave()
                raise

        return wait

    def one(route: Route) -> Route:
        path = route.path.removeprefix(_PREFIX)
        for method in route.methods or ():
            if (method, path) in HEAVY:
                return ClientRoute(method, path, in_place(route.endpoint), is_read=True)
        return route

    return [one(route) for route in routes]

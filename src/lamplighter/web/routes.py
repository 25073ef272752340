"""Routes as the specification writes paths, and the answers that handlers return."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lamplighter.errors import InvalidParam, Unrecognized
from lamplighter.web.http.asgi import ENDS_WITH_CLIENT

__all__ = [
    "ChangingResources",
    "ClientRoute",
    "Handler",
    "MatrixRoute",
    "NothingElse",
    "ResourceRoute",
    "Route",
    "beginnings_of",
    "decoded",
    "json_response",
]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

_PREFIX: Final = b"/_matrix/client/v3/"
#: Older clients use this prefix: it means the same.
_OLDER_PREFIX: Final = b"/_matrix/client/r0/"


class MatrixRoute(Route):
    """A route whose parameters are percent-decoded one by one.

    So a parameter may hold a slash: room IDs, event types and state keys do. Raises
    `InvalidParam` for a parameter that is not UTF-8.
    """

    def __init__(
        self, method: str, path: str, handler: Handler, *, is_read: bool | None = None
    ) -> None:
        """*is_read*: the request is of no use without its client; None means that a GET is."""
        super().__init__(path, handler, methods=[method])
        self._is_read = method == "GET" if is_read is None else is_read

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        end_with_client: Callable[[], None] | None = scope.get(ENDS_WITH_CLIENT)
        if self._is_read and end_with_client is not None:
            end_with_client()
        await super().handle(scope, receive, send)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self.path_regex.match(scope["raw_path"].decode("latin-1"))
        if found is None:
            return Match.NONE, {}
        params = {name: decoded(name, value) for name, value in found.groupdict().items()}
        known = not self.methods or scope["method"] in self.methods
        match = Match.FULL if known else Match.PARTIAL
        return match, {"endpoint": self.endpoint, "path_params": params}


class ClientRoute(MatrixRoute):
    """A route of the client API: *path* comes after `/_matrix/client/v3`, or `r0`."""

    def __init__(
        self, method: str, path: str, handler: Handler, *, is_read: bool | None = None
    ) -> None:
        super().__init__(method, f"/_matrix/client/v3{path}", handler, is_read=is_read)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path: bytes = scope["raw_path"]
        if path.startswith(_OLDER_PREFIX):
            scope = {**scope, "raw_path": _PREFIX + path.removeprefix(_OLDER_PREFIX)}
        return super().matches(scope)


class NothingElse(Mount):
    """The paths below *path* are this server's own: it passes none of them on to another."""

    def __init__(self, path: str) -> None:
        super().__init__(path, self._nothing)

    @staticmethod
    async def _nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise Unrecognized("Unrecognized request")


class ResourceRoute(Mount):
    """A module's application, at a path and at every path below it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["path"] == self.path:
            return super().matches({**scope, "path": f"{self.path}/"})
        return super().matches(scope)


class ChangingResources(BaseRoute):
    """Applications by path, as *resources* returns them now; another object if they change."""

    def __init__(self, resources: Callable[[], Mapping[str, ASGIApp]]) -> None:
        self._read = resources
        self._resources: Mapping[str, ASGIApp] = {}
        self._routes: list[ResourceRoute] = []

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        for route in self._current():
            match, found = route.matches(scope)
            if match is not Match.NONE:
                return match, {**found, "resource_route": route}
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: ResourceRoute = scope["resource_route"]
        await route.handle(scope, receive, send)

    def _current(self) -> Sequence[ResourceRoute]:
        resources = self._read()
        if resources is not self._resources:
            self._resources = resources
            self._routes = [ResourceRoute(path, it) for path, it in resources.items()]
        return self._routes


def beginnings_of(route: BaseRoute) -> Sequence[str] | None:
    """Return the texts with one of which all paths of *route* begin; None if there is none."""
    if isinstance(route, ClientRoute):
        older = route.path.replace(_PREFIX.decode(), _OLDER_PREFIX.decode())
        return [route.path.partition("{")[0], older.partition("{")[0]]
    if isinstance(route, Route | Mount):
        return [route.path.partition("{")[0]]
    return None


def json_response(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return *content* as a JSON response."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def decoded(name: str, value: str) -> str:
    """Return the path's parameter *name* without percent-encoding; raise `InvalidParam`."""
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise InvalidParam(f"{name}: not UTF-8") from None

"""The ASGI application: routes, errors, CORS."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.errors import MethodNotAllowed, NotJson, Unrecognized
from lamplighter.web.errors import error_response, is_expected
from lamplighter.web.http.settings import ErrorResponse
from lamplighter.web.routes import beginnings_of

__all__ = [
    "JSON_HEADERS",
    "Application",
    "response_to",
    "send_json",
]

_log = structlog.get_logger(__name__)

#: The headers by which scripts of any web page may read a response. They belong on every response,
#: errors included: <https://spec.matrix.org/latest/client-server-api/#web-browser-clients>.
CORS_HEADERS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"X-Requested-With, Content-Type, Authorization"),
)
#: The headers of every answer in JSON, but for its length.
JSON_HEADERS: Final = ((b"content-type", b"application/json"), *CORS_HEADERS)


class Application:
    """Serves *routes*.

    A path without a route, with a slash too many for instance, is `M_UNRECOGNIZED`. `OPTIONS` is
    answered for every path. Errors are raised: the HTTP server answers them with `response_to`.
    """

    def __init__(self, routes: Sequence[BaseRoute], otherwise: ASGIApp | None = None) -> None:
        """*otherwise* answers what no route answers; Matrix's errors do if it is None."""
        self._routes = routes
        self._otherwise = otherwise
        self._beginnings = tuple(it for route in routes for it in beginnings_of(route) or ())
        #: The routes whose paths may begin with anything.
        self._of_any_path = [route for route in routes if beginnings_of(route) is None]
        self._router = Router(routes, redirect_slashes=False, default=_unrecognized)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._serve
        if self._otherwise is not None and not self._has_route(scope):
            answer = self._otherwise
        elif scope["method"] == "OPTIONS":
            await send_json(send, 200, b"{}")
            return
        await answer(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *CORS_HEADERS]}
            await send(message)

        # With an "app" in the scope, Starlette raises where it would answer in plain text.
        await self._router({**scope, "app": self}, receive, send_with_cors)

    def _has_route(self, scope: Scope) -> bool:
        """Tell whether a route has the path. Most paths are another server's: one look tells."""
        may_be_ours = scope["path"].startswith(self._beginnings) or scope["raw_path"].decode(
            "latin-1"
        ).startswith(self._beginnings)
        routes = self._routes if may_be_ours else self._of_any_path
        return any(route.matches(scope)[0] is not Match.NONE for route in routes)


def response_to(error: Exception, method: str, path: str) -> ErrorResponse:
    """Return the response to a request that failed with *error*; log a defect of this server.

    `web/errors.py` has the responses. An error without an entry there is a defect.
    """
    if isinstance(error, HTTPException):
        return _http_response(error)
    if isinstance(error, ClientDisconnect):  # it may have closed only its half, and still read
        error = NotJson("The request ended before its body did")
    if not is_expected(error):
        _log.error("request failed", method=method, path=path, exc_info=error)
    return error_response(error)


async def send_json(send: Send, status: int, body: bytes) -> None:
    """Send a whole JSON response, CORS headers included."""
    start = [*JSON_HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def _unrecognized(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Unrecognized("Unrecognized request")


def _http_response(error: HTTPException) -> ErrorResponse:
    """Return the response for one of Starlette's errors: routing raises them, and modules may."""
    if error.status_code == 404:
        return error_response(Unrecognized("Unrecognized request"))
    if error.status_code == 405:
        return error_response(MethodNotAllowed("Unrecognized request: wrong HTTP method"))
    content = {"errcode": "M_UNKNOWN", "error": error.detail}
    return ErrorResponse(error.status_code, msgspec.json.encode(content))

"""An operation of the admin API: path, parameters, body, answer, and the function that does it.

The routes and the OpenAPI description are made from the same operations.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.admin.auth import AdminAuth
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["PREFIX", "Operation", "Parameter", "Work"]

#: The path below which the admin API is.
PREFIX: Final = "/_lamplighter/admin"

Work: TypeAlias = Callable[[Request], Awaitable[msgspec.Struct | Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query."""

    name: str
    text: str
    #: A JSON Schema.
    schema: dict[str, object]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint; *path* follows the prefix."""

    method: str
    path: str
    #: What it does, in a sentence.
    summary: str
    work: Work
    #: The type of the JSON answer; None for a stream, or JSON without a type of ours.
    answer: type[msgspec.Struct] | None
    parameters: tuple[Parameter, ...] = ()
    media_type: str = "application/json"
    #: The type of the JSON body; None if there is no body.
    takes: type[msgspec.Struct] | None = None

    def route(self, auth: AdminAuth) -> Route:
        """Return the route of the operation; *auth* checks each request."""

        async def handle(request: Request) -> Response:
            auth.check(request)
            answer = await self.work(request)
            if isinstance(answer, Response):
                return answer
            return json_response(answer, headers={"cache-control": "no-store"})

        return MatrixRoute(self.method, PREFIX + self.path, handle)

"""One endpoint of the admin API: its path, what it takes and answers, and what it does.

The routes and the OpenAPI description are made from the same operations.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.admin.auth import AdminAuth
from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["PREFIX", "Operation", "Parameter", "Work", "admin_routes"]

#: Where the admin API is.
PREFIX: Final = "/_lamplighter/admin"

Work: TypeAlias = Callable[[Request], Awaitable[msgspec.Struct | Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query."""

    name: str
    text: str
    #: As JSON Schema has it.
    schema: dict[str, object]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint; *path* comes after the prefix."""

    method: str
    path: str
    #: What it does, in a sentence.
    summary: str
    work: Work
    #: What it answers, as JSON; None where that is a stream, or no structure of ours.
    answer: type[msgspec.Struct] | None
    parameters: tuple[Parameter, ...] = ()
    media_type: str = "application/json"
    #: What it takes as its body.
    takes: type[msgspec.Struct] | None = None


def admin_routes(operations: Sequence[Operation], auth: AdminAuth) -> list[Route]:
    """Return the routes of *operations*, open to whom *auth* lets in."""
    return [_route(operation, auth) for operation in operations]


def _route(operation: Operation, auth: AdminAuth) -> Route:
    async def handle(request: Request) -> Response:
        auth.check(request)
        answer = await operation.work(request)
        return answer if isinstance(answer, Response) else _answer(answer)

    return MatrixRoute(operation.method, PREFIX + operation.path, handle)


def _answer(content: msgspec.Struct) -> Response:
    return json_response(content, headers={"cache-control": "no-store"})

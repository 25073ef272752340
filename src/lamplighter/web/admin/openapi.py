"""GET /_lamplighter/admin/openapi.json: the OpenAPI 3.1 description of the admin API.

The description is made from the operations and the types of their answers, so it cannot differ
from them.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lamplighter import __version__
from lamplighter.web.admin.event_content import BatchEvent, FiguresEvent, LostEvent
from lamplighter.web.admin.operations import PREFIX, Operation
from lamplighter.web.routes import json_response

__all__ = ["MatrixError", "OpenApi"]

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_REFERENCE: Final = "#/components/schemas/{name}"


class MatrixError(msgspec.Struct, frozen=True):
    """An error in Matrix' form."""

    errcode: str
    error: str


_JSON: Final = "application/json"

#: The types of the data in the stream's events.
_EVENTS: Final = (BatchEvent, FiguresEvent, LostEvent)


class OpenApi:
    """Describes *operations*, and its own operation."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._described = [*operations, *self.operations()]

    def operations(self) -> list[Operation]:
        summary = "Describe this API."
        return [Operation("GET", "/openapi.json", summary, self.get, None)]

    async def get(self, _request: Request) -> Response:
        """Return the description."""
        answers = {it.answer for it in self._described if it.answer is not None}
        types: list[Any] = [*answers, *_EVENTS, MatrixError]
        types.sort(key=lambda kind: kind.__name__)
        _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        paths: dict[str, dict[str, Any]] = {}
        for operation in self._described:
            at_path = paths.setdefault(PREFIX + operation.path, {})
            at_path[operation.method.lower()] = _operation(operation)
        content = {
            "openapi": "3.1.0",
            "info": {"title": "Lamplighter's admin API", "version": __version__},
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
                "schemas": schemas,
            },
        }
        return json_response(content)


def _operation(operation: Operation) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACEHOLDER.findall(operation.path)
    ]
    in_query = [
        {
            "name": it.name,
            "in": "query",
            "description": it.text,
            "required": it.required,
            "schema": it.schema,
        }
        for it in operation.parameters
    ]
    if operation.answer is not None:
        schema: dict[str, str] = _reference(operation.answer)
    else:
        schema = {"type": "object" if operation.media_type == _JSON else "string"}
    takes: dict[str, Any] = {}
    if operation.takes is not None:
        content = {_JSON: {"schema": _reference(operation.takes)}}
        takes = {"requestBody": {"required": True, "content": content}}
    return {
        **takes,
        "summary": operation.summary,
        "operationId": operation.work.__name__ + re.sub(r"\W+", "_", operation.path),
        "parameters": [*in_path, *in_query],
        "responses": {
            "200": {
                "description": "Done.",
                "content": {operation.media_type: {"schema": schema}},
            },
            "default": {
                "description": "It was refused.",
                "content": {_JSON: {"schema": _reference(MatrixError)}},
            },
        },
    }


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}

"""GET /_matrix/client/versions.

Implements <https://spec.matrix.org/latest/client-server-api/#get_matrixclientversions>.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["Versions"]

_VERSIONS: Final = ("r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5")


class Versions:
    """Names the supported versions of the specification, and *unstable_features*."""

    def __init__(self, unstable_features: Mapping[str, bool]) -> None:
        self._content = {"versions": _VERSIONS, "unstable_features": dict(unstable_features)}

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/_matrix/client/versions", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        return json_response(self._content)

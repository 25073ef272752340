"""GET /health.

For load balancers and service managers: without a token, and without details. The answer is 200
`{"status": "ok"}`, or 503 `{"status": "storage unavailable"}` while the database cannot be written.
The server can still read then, but another server would serve clients better.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.web.routes import MatrixRoute, Route, json_response

__all__ = ["Health"]


class Health:
    """Answers whether *storage_works*."""

    def __init__(self, storage_works: Callable[[], bool]) -> None:
        self._storage_works = storage_works

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/health", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        if self._storage_works():
            return json_response({"status": "ok"})
        return json_response({"status": "storage unavailable"}, status=503)

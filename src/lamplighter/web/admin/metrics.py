"""GET /metrics.

For Prometheus: without a token, and without data about single users. `lamplighter/metrics.py` has
the names of the metrics.
"""

from starlette.requests import Request
from starlette.responses import Response

from lamplighter.metrics import CONTENT_TYPE, Metrics
from lamplighter.web.routes import MatrixRoute, Route

__all__ = ["MetricsPage"]


class MetricsPage:
    """Shows the metrics of the server."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def routes(self) -> list[Route]:
        return [MatrixRoute("GET", "/metrics", self.get)]

    async def get(self, _request: Request) -> Response:
        """Answer everybody."""
        return Response(self._metrics.exposition(), media_type=CONTENT_TYPE)

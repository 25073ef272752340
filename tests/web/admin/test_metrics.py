"""GET /metrics."""

from lamplighter.metrics import CONTENT_TYPE, Metrics
from lamplighter.web.admin.metrics import MetricsPage
from lamplighter.web.application import Application
from tests.web.clients import client_of


async def test_metrics_are_shown() -> None:
    """Anybody gets the metrics, in the format of Prometheus."""
    metrics = Metrics()
    metrics.syncs += 1
    client = client_of(Application(MetricsPage(metrics).routes()))
    response = await client.request("GET", "/metrics")
    assert (response.status, response.headers["content-type"]) == (200, CONTENT_TYPE)
    assert "\nlamplighter_syncs_total 1.0\n" in response.body.decode()

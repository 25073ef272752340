"""The Grafana dashboard and the Prometheus alerts fit the metrics."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.app.nodes import running_node

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DASHBOARD: Final = DEPLOY / "grafana" / "lamplighter.json"
RULES: Final = DEPLOY / "prometheus" / "lamplighter.rules.yml"
TYPE: Final = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
METRIC: Final = re.compile(r"\b((?:lamplighter|process)_\w+)")
#: How many columns a dashboard of Grafana has.
COLUMNS: Final = 24

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="Prometheus is not installed"
)


@pytest.fixture
async def families() -> dict[str, str]:
    """The metrics of a running node of a cluster, by name, with their kinds."""
    async with running_node() as server:
        response = await server.http.request("GET", "/metrics")
    return dict(TYPE.findall(response.body.decode()))


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return panels


def _expressions() -> dict[str, str]:
    rules = {rule["alert"]: rule["expr"] for rule in _rules()}
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in _panels()
        for target in panel.get("targets", [])
    }
    return rules | panels


def test_the_metrics_are_there(families: dict[str, str]) -> None:
    """Every metric of a panel or an alert exists."""
    parts = {
        f"{name}_{part}"
        for name, kind in families.items()
        if kind == "histogram"
        for part in ("bucket", "count", "sum")
    }
    asked = {place: set(METRIC.findall(text)) for place, text in _expressions().items()}

    assert {place: it for place, it in asked.items() if it - parts - set(families)} == {}


def test_every_metric_of_ours_is_shown(families: dict[str, str]) -> None:
    """The dashboard shows every metric of the server, except the build information."""
    shown = METRIC.findall(DASHBOARD.read_text(encoding="utf-8"))
    of_ours = {
        name
        for name in families
        if name.startswith("lamplighter_") and not name.endswith(("_created", "_info"))
    }

    assert [name for name in of_ours if not any(it.startswith(name) for it in shown)] == []


def test_panels_have_their_places() -> None:
    """No two panels overlap, none is beyond the edge, and each has a description."""
    taken: set[tuple[int, int]] = set()
    for panel in _panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= COLUMNS
        assert panel["type"] == "row" or panel["description"]
        taken |= cells
    assert len({panel["id"] for panel in _panels()}) == len(_panels())


def test_alerts_say_what_is_wrong() -> None:
    """Each alert has a severity, and a summary with a label."""
    assert {rule["labels"]["severity"] for rule in _rules()} == {"critical", "warning"}
    for rule in _rules():
        assert "{{ $labels." in rule["annotations"]["summary"]


@needs_promtool
def test_prometheus_accepts_the_rules() -> None:
    """`promtool` accepts the alerts and the configuration."""
    _promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


@needs_promtool
def test_prometheus_accepts_the_dashboard(tmp_path: Path) -> None:
    """Prometheus accepts the expression of every panel."""
    rules = [
        {"record": f"panel:{number}", "expr": _as_asked(target["expr"])}
        for number, panel in enumerate(_panels())
        for target in panel.get("targets", [])[:1]
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    _promtool("check", "rules", str(path))


@needs_promtool
def test_alerts_fire_when_they_should() -> None:
    """Each alert fires in its series of alerts.yml, and in no other."""
    tests = yaml.safe_load(Path(__file__).with_name("alerts.yml").read_text(encoding="utf-8"))
    tried = {it["alertname"] for test in tests["tests"] for it in test["alert_rule_test"]}

    assert tried == {rule["alert"] for rule in _rules()}
    _promtool("test", "rules", str(Path(__file__).with_name("alerts.yml")))


def _as_asked(expression: str) -> str:
    """Return the expression that Grafana sends when everything is selected."""
    return expression.replace("$job", ".*").replace("$__rate_interval", "1m")


def _promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

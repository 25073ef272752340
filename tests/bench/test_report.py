"""The table of results."""

from io import StringIO

from rich.console import Console

from bench.report import render
from bench.results import table_of
from tests.bench.rows import row


def test_table() -> None:
    """A row has the figures of a server beside Synapse's; what was left out has dashes."""
    screen = StringIO()
    table = table_of([row("lamplighter", 0.5), row("synapse", 2.0)])
    Console(file=screen, width=120).print(render(table, [("crowd", "synapse")]))
    lines = [line.split() for line in screen.getvalue().splitlines()]
    latency = ["1.0", "/", "20", "/", "300"]
    assert [line for line in lines if "lamplighter" in line or "synapse" in line][1:] == [
        [
            "fanout-50",
            "element",
            "lamplighter",
            "500.0",
            "delivery",
            "4.0",
            "x",
            *latency,
            "1",
            "2.0",
        ],
        ["element", "synapse", "2,000.0", "delivery", "1.0", "x", *latency, "1", "2.0"],
        ["crowd", "-", "synapse", *"------"],
    ]

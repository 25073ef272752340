"""The table of results: on the screen, and in a page."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.report import BEGIN, END, has_place, render, renewed
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


def test_several_processes() -> None:
    """The CPU time of a server of several processes is the sum, with that of each."""
    page = renewed(f"{BEGIN}{END}", table_of([row("front", 1.5, 0.25)]))
    assert "| front | 1,750.0 = 1,500.0 + 250.0 | delivery |" in page


def test_a_page_is_renewed() -> None:
    """The text between the marks becomes the table; everything else stays, as do the marks."""
    page = f"# Speed\n\n{BEGIN}\nold\n{END}\n\nMore.\n"
    table = table_of([row("lamplighter", 0.5), row("synapse", 2.0)])
    once = renewed(page, table)
    assert (
        once
        == f"""# Speed

{BEGIN}

| preset | shape | server | CPU µs | per | synapse takes | p50 / 95 / 99 ms | RSS MiB | KiB/poll |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| fanout-50 | element | lamplighter | 500.0 | delivery | 4.0 x | 1.0 / 20 / 300 | 1 | 2.0 |
| fanout-50 | element | synapse | 2,000.0 | delivery | 1.0 x | 1.0 / 20 / 300 | 1 | 2.0 |

{END}

More.
"""
    )
    assert renewed(once, table) == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", None])
def test_a_page_without_a_place(tmp_path: Path, text: str | None) -> None:
    """A page without both marks, in their order, and one that is not there, have no place."""
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    assert not has_place(page)


def test_the_documentation_has_a_place() -> None:
    """The page on performance can be renewed."""
    assert has_place(Path("docs/performance.md"))

"""What is said of ten nodes is what the simulation gives, beside what was measured."""

from pathlib import Path
from typing import Final

import pytest

from bench.simulate import BEGIN, END, measured_rows, tables, with_tables

PAGE: Final = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")


def test_measured_rows() -> None:
    """The page has the load, the nodes and the cost; a cell without a figure is left out."""
    page = (
        "| room of 500, two changes a second | 48 µs = 3 + 45 | | 79.5 µs = 6 | 1 µs |\n| x | 1 |"
    )
    name = "room of 500, two changes a second"
    assert list(measured_rows(page)) == [(name, 1, 48.0), (name, 4, 79.5)]


def test_the_page_has_what_is_simulated() -> None:
    """The tables in the page are up to date: else `python -m bench.simulate --renew` renews them.

    No simulated row is farther from the measured one than a quarter.
    """
    simulated = tables(PAGE)
    assert f"{BEGIN}\n\n{simulated}\n\n{END}" in PAGE
    compared = [line.split("|") for line in simulated.splitlines() if line.startswith("| room")]
    deviations = [int(cells[-2].removesuffix(" % ")) for cells in compared]
    assert len(deviations) == len(list(measured_rows(PAGE)))
    assert [it for it in deviations if abs(it) > 25] == []


def test_tables_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is between the marks is replaced, and nothing else."""
    monkeypatch.setattr("bench.simulate.tables", lambda page: f"{len(page)} characters")
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_tables(page) == (f"before\n{BEGIN}\n\n{len(page)} characters\n\n{END}\nafter\n")

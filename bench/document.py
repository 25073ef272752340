"""The table of results in a Markdown page, between two marks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.report import figures
from bench.results import BASELINE, Table, ratio

__all__ = ["BEGIN", "END", "has_place", "renewed"]

BEGIN: Final = "<!-- results: `python -m bench --document` writes what follows -->"
END: Final = "<!-- end of results -->"

_HEAD: Final = (
    f"| preset | shape | server | CPU µs | per | {BASELINE} takes | p50 / 95 / 99 ms "
    "| RSS MiB | KiB/poll |\n|---|---|---|---|---|---|---|---|---|"
)


def has_place(page: Path) -> bool:
    """Tell whether the file *page* exists and has the two marks."""
    if not page.is_file():
        return False
    _, begin, rest = page.read_text().partition(BEGIN)
    return bool(begin) and END in rest


def renewed(text: str, table: Table) -> str:
    """Return the page *text* with *table* in place of what stands between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(_lines(table))
    return f"{before}{BEGIN}\n\n{_HEAD}\n{lines}\n\n{END}{after}"


def _lines(table: Table) -> Iterator[str]:
    for label, servers in table.items():
        for row in servers.values():
            cells = label, row.client, row.server, *figures(row.measurement, ratio(table, row))
            yield f"| {' | '.join(cells)} |"

"""The progress of a run on the screen, and the table: there, and in a Markdown page."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from bench.measuring import Latency, Measurement
from bench.results import BASELINE, Table, ratio

__all__ = ["BEGIN", "END", "Screen", "has_place", "render", "renewed"]

#: The marks around the table in a page.
BEGIN: Final = "<!-- results: `python -m bench --document` writes what follows -->"
END: Final = "<!-- end of results -->"

_NOTHING: Final = "-"
#: With fewer polls the memory of one is lost in the noise.
_FEW_POLLS: Final = 50

_COLUMNS: Final[Mapping[str, JustifyMethod]] = {
    "preset": "left",
    "shape": "left",
    "server": "left",
    "CPU µs": "right",
    "per": "left",
    f"{BASELINE} takes": "right",
    "p50 / 95 / 99 ms": "right",
    "RSS MiB": "right",
    "KiB/poll": "right",
}


class Screen:
    """Shows the progress in the last line of the terminal."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bars.add_task("")
        self.title = ""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._bars.stop()

    def step(self, what: str, total: int) -> Callable[[], None]:
        self._bars.reset(self._task, description=f"{self.title}: {what}", total=total)
        return lambda: self._bars.advance(self._task)

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._bars.console.print(text)


def render(table: Table, left_out: Iterable[tuple[str, str]] = ()) -> RichTable:
    """Return the table of results; *left_out* are pairs of a preset and a server without a row."""
    shown = RichTable(title="Server CPU time (user + system) per unit", box=SIMPLE_HEAD)
    for title, justify in _COLUMNS.items():
        shown.add_column(title, justify=justify, no_wrap=True)
    for label, servers in table.items():
        for count, row in enumerate(servers.values()):
            times = ratio(table, row)
            shown.add_row(
                label if count == 0 else "",
                row.client,
                row.server,
                *_figures(row.measurement, times),
            )
        shown.add_section()
    for preset, server in left_out:
        shown.add_row(preset, _NOTHING, server, *[_NOTHING] * (len(_COLUMNS) - 3))
    return shown


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
    lines = [tuple(_COLUMNS), ["---"] * len(_COLUMNS)]
    for label, servers in table.items():
        for row in servers.values():
            cells = _figures(row.measurement, ratio(table, row))
            lines.append([label, row.client, row.server, *cells])
    written = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{before}{BEGIN}\n\n{written}\n\n{END}{after}"


def _figures(measured: Measurement, times: float | None) -> list[str]:
    """Return the cells of a row for *measured*, which is *times* as fast as the baseline."""
    per_poll = measured.poll_bytes if measured.polls >= _FEW_POLLS else None
    return [
        _micros(measured),
        measured.unit,
        _NOTHING if times is None else f"{times:,.1f} x",
        _latency(measured.latency),
        f"{measured.usage.resident / 2**20:.0f}",
        _NOTHING if per_poll is None else f"{per_poll / 1024:.1f}",
    ]


def _micros(measured: Measurement) -> str:
    """Return the CPU time; where there are several processes, that of each as well."""
    whole = f"{measured.cpu_micros:,.1f}"
    parts = measured.micros_by_process.values()
    return whole if len(parts) < 2 else f"{whole} = {' + '.join(f'{it:,.1f}' for it in parts)}"


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return _NOTHING
    values = latency.p50, latency.p95, latency.p99
    return " / ".join(f"{it:,.0f}" if it >= 10 else f"{it:.1f}" for it in values)

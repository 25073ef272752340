"""What a person sees: progress while it runs, and the table."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from bench.measuring import Latency, Measurement
from bench.results import BASELINE, Table, ratio

__all__ = ["Screen", "render"]

_NOTHING = "-"


class Screen:
    """Shows how far the run is, in the last line of the terminal."""

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

    def __enter__(self) -> "Screen":
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


def render(table: Table) -> RichTable:
    """Return the table of results."""
    shown = RichTable(title="Server CPU time (user + system) per unit; less is better")
    shown.add_column("preset")
    shown.add_column("server")
    for title in (
        "units",
        "CPU µs/unit",
        f"{BASELINE}'s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "RSS MiB",
        "KiB/poll",
    ):
        shown.add_column(title, justify="right")
    for label, servers in table.items():
        for row in servers.values():
            times = ratio(table, row)
            shown.add_row(
                label,
                row.server,
                *_figures(row.measurement, _NOTHING if times is None else f"{times:.1f} x"),
            )
        shown.add_section()
    return shown


def _figures(measured: Measurement, times: str) -> list[str]:
    return [
        f"{measured.count} {_plural(measured.unit)}",
        f"{measured.cpu_micros:,.1f}",
        times,
        *_latency(measured.latency),
        f"{measured.usage.resident / 2**20:.0f}",
        _NOTHING if measured.poll_bytes is None else f"{measured.poll_bytes / 1024:.1f}",
    ]


def _latency(latency: Latency | None) -> list[str]:
    if latency is None:
        return [_NOTHING] * 3
    return [f"{it:.1f}" for it in (latency.p50, latency.p95, latency.p99)]


def _plural(unit: str) -> str:
    return f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"

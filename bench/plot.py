"""The plot: CPU time per unit, one group of bars for each preset."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import Table

__all__ = ["save_plot"]


def save_plot(table: Table, path: Path) -> None:
    """Draw *table* into a PNG file, on a logarithmic scale: servers differ by orders."""
    mpl.use("agg")
    servers = list(dict.fromkeys(server for row in table.values() for server in row))
    figure = Figure(figsize=(max(7, 1.2 * len(table)), 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(servers)
    for offset, server in enumerate(servers):
        shown = [(x, row[server]) for x, row in enumerate(table.values()) if server in row]
        bars = axes.bar(
            [x + offset * width for x, _ in shown],
            [row.measurement.cpu_micros for _, row in shown],
            width,
            label=server,
        )
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=7)
    axes.set_yscale("log")
    axes.set_ylabel("server CPU per unit, µs")
    middle = (len(servers) - 1) * width / 2
    axes.set_xticks([x + middle for x in range(len(table))], list(table), rotation=30, ha="right")
    axes.legend()
    figure.savefig(path, dpi=150)

"""The results of a run: the median of repeated rows, ratios, and JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

from bench.running import Row

__all__ = ["BASELINE", "Table", "as_json", "ratio", "table_of"]

#: The baseline: the server that the others are compared with.
BASELINE: Final = "synapse"

#: The rows by label, and of each label by server.
Table: TypeAlias = Mapping[str, Mapping[str, Row]]


def table_of(rows: Iterable[Row]) -> Table:
    """Return *rows* by label and server; repeated rows give the one with the median CPU time."""
    repeated: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        repeated.setdefault(row.label, {}).setdefault(row.server, []).append(row)

    def median(again: list[Row]) -> Row:
        ordered = sorted(again, key=lambda row: row.measurement.cpu_micros)
        return ordered[(len(ordered) - 1) // 2]

    return {
        label: {server: median(again) for server, again in servers.items()}
        for label, servers in repeated.items()
    }


def ratio(table: Table, row: Row) -> float | None:
    """Return the CPU time of the baseline, divided by that of *row*."""
    baseline = table[row.label].get(BASELINE)
    if baseline is None:
        return None
    return baseline.measurement.cpu_micros / row.measurement.cpu_micros


def as_json(rows: Iterable[Row], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return all rows, repeated ones too, with the facts *about* the run."""
    return {**about, "rows": [_flat(row) for row in rows]}


def _flat(row: Row) -> dict[str, Any]:
    measured = row.measurement
    return {
        "preset": row.label,
        "shape": row.client,
        "server": row.server,
        "unit": measured.unit,
        "count": measured.count,
        "cpu_us_per_unit": round(measured.cpu_micros, 2),
        "cpu_us_by_process": {
            name: round(micros, 2) for name, micros in measured.micros_by_process.items()
        },
        "cpu_seconds": measured.usage.cpu_seconds,
        "seconds": measured.usage.seconds,
        "latency_ms": measured.latency and asdict(measured.latency),
        "resident_bytes": measured.usage.resident,
        "polls": measured.polls,
        "bytes_per_poll": measured.poll_bytes and round(measured.poll_bytes),
    }

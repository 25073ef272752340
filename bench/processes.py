"""The CPU time, memory and cores of a process and all its descendants, as the kernel tells them.

Linux only: it reads `/proc` and the clocks of other processes.
"""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["cpu_seconds", "descendants", "parent_in", "pin", "resident_bytes", "resident_in"]

_PROC: Final = Path("/proc")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of the process tree of *pid*, with its ended threads.

    `/proc/<pid>/stat` counts in ticks of 10 ms; the clock of a process counts nanoseconds.
    """
    # The number of the clock that counts a process's CPU time (clock_getcpuclockid(3)).
    return sum(time.clock_gettime((~it << 3) | 2) for it in descendants(pid, _parents()))


def resident_bytes(pid: int) -> int:
    """Return the memory that the process tree of *pid* has in RAM."""
    tree = descendants(pid, _parents())
    return sum(resident_in((_PROC / str(it) / "status").read_text()) for it in tree)


def pin(pid: int, cores: Iterable[int]) -> None:
    """Pin every thread of the process tree of *pid* to *cores*; new threads inherit that."""
    wanted = set(cores)
    for process in descendants(pid, _parents()):
        for thread in (_PROC / str(process) / "task").iterdir():
            with suppress(ProcessLookupError):  # threads come and go
                os.sched_setaffinity(int(thread.name), wanted)


def descendants(pid: int, parents: Mapping[int, int]) -> list[int]:
    """Return *pid* and its descendants, by a table of each process's parent."""
    tree = [pid]
    for member in tree:
        tree += (child for child, parent in parents.items() if parent == member)
    return tree


def parent_in(stat: str) -> int:
    """Return the parent's number by the text of `/proc/<pid>/stat`."""
    # The name of the command may hold spaces and parentheses; it ends with the last one.
    return int(stat.rpartition(")")[2].split()[1])


def resident_in(status: str) -> int:
    """Return the bytes in RAM by the text of `/proc/<pid>/status`; a dead process has none."""
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                parents[int(entry.name)] = parent_in((entry / "stat").read_text())
    return parents

"""The machine of the run: its cores and their users, its descriptors, its description."""

import os
import platform
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.processes import pin

__all__ = ["Cores", "describe", "polls_admitted", "raise_descriptor_limit", "share_cores"]


@dataclass(frozen=True)
class Cores:
    """The server has one core to itself, and the load the others; a single core is shared."""

    server: frozenset[int]
    load: frozenset[int]

    def part(self, server_pids: Iterable[int]) -> None:
        """Pin the server to its core and this process to the others."""
        for pid in server_pids:
            pin(pid, self.server)
        pin(os.getpid(), self.load)

    def mingle(self, server_pids: Iterable[int]) -> None:
        """Let all processes run anywhere, so that what is not measured is quick."""
        for pid in (*server_pids, os.getpid()):
            pin(pid, self.server | self.load)


def share_cores() -> Cores:
    """Return the parts of the cores that this process may run on."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others or {first}))


def raise_descriptor_limit() -> int:
    """Raise the descriptor limit of this process and its children to the system's maximum."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def polls_admitted(most: int) -> int:
    """Return how many polls fit in three quarters of the descriptors, at most *most*."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if hard == resource.RLIM_INFINITY else min(most, hard * 3 // 4)


def describe() -> dict[str, str | int]:
    """Return the facts of the machine that a reader of the results needs."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

"""The machine of the run: which core is whose, how many descriptors there are, what it is."""

import os
import platform
import resource
from dataclasses import dataclass
from pathlib import Path

from bench.processes import pin

__all__ = ["Cores", "describe", "polls_admitted", "raise_descriptor_limit", "share_cores"]


@dataclass(frozen=True)
class Cores:
    """The server has one core to itself, and the load the others; a single core is shared."""

    server: frozenset[int]
    load: frozenset[int]

    def part(self, server_pid: int) -> None:
        """Put the server and this process where they are measured."""
        pin(server_pid, self.server)
        pin(os.getpid(), self.load)

    def mingle(self, server_pid: int) -> None:
        """Let both run anywhere: what is not measured may be quick."""
        for pid in (server_pid, os.getpid()):
            pin(pid, self.server | self.load)


def share_cores() -> Cores:
    """Return the parts of the cores that this process may run on."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others or {first}))


def raise_descriptor_limit() -> int:
    """Let this process, and whom it starts, open as many files as the system admits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def polls_admitted(most: int) -> int:
    """Return how many polls one process can have: three in four of its descriptors, or *most*."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if hard == resource.RLIM_INFINITY else min(most, hard * 3 // 4)


def describe() -> dict[str, str | int]:
    """Return what a reader of the results wants to know of the machine."""
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

"""The memory of the process in huge pages, where the kernel can do that.

A server that has slept for half a second finds little of its memory in the processor's caches. Each
line of memory costs a wait then. The first touch of each page costs more waits: the processor looks
up where the page is, on a virtual machine in the tables of the host, too. One change touches two
thousand pages of 4 KiB. A huge page has 2 MiB, so the same memory is on a few dozen of them.

Python asks the kernel for memory in pieces that are smaller than a huge page, so Python gets none.
The kernel (Linux 6.1 and later) can move memory into huge pages later, and this module asks for
that. The stack of a thread, and other memory of which little is used, stays as it is: in huge pages
it would be larger.
"""

import asyncio
import ctypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from lamplighter.clock import Clock, sleep

__all__ = [
    "HUGE_PAGE",
    "Mapping",
    "keep_moving_to_huge_pages",
    "move_to_huge_pages",
    "read_mappings",
]

#: The size of a huge page, in bytes.
HUGE_PAGE: Final = 2 * 1024 * 1024
#: `MADV_COLLAPSE`, by Linux's number.
_COLLAPSE: Final = 25
_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A part of the address space of this process. Addresses and sizes are in bytes."""

    start: int
    end: int
    #: As Linux writes them: `rw-p` for data, `r-xp` for code.
    permissions: str
    #: How much is in memory, and how much of that is in huge pages.
    resident: int
    huge: int

    @property
    def first(self) -> int:
        """Where its first huge page can begin."""
        return -(-self.start // HUGE_PAGE) * HUGE_PAGE

    @property
    def room(self) -> int:
        """The size of all huge pages that it can have."""
        return self.end // HUGE_PAGE * HUGE_PAGE - self.first

    @property
    def is_worth_it(self) -> bool:
        """Whether it can have more huge pages, and would hold hardly more than it does now.

        Code needs no memory of its own: it is in memory once for all processes.
        """
        is_code = self.permissions == "r-xp"
        is_full_of_data = (
            self.permissions == "rw-p" and self.resident >= (self.end - self.start) * 3 // 4
        )
        return (is_code or is_full_of_data) and self.room > self.huge


def read_mappings(lines: Iterable[str]) -> Iterator[Mapping]:
    """Read the *lines* of `/proc/self/smaps`, a file of Linux."""
    start = end = resident = huge = 0
    permissions = ""
    for line in lines:
        first, *rest = line.split()
        if first == "Rss:":
            resident = int(rest[0]) * 1024
        elif first in {"AnonHugePages:", "FilePmdMapped:"}:
            huge += int(rest[0]) * 1024
        elif first == "VmFlags:":  # the last line of each mapping
            yield Mapping(start, end, permissions, resident, huge)
            huge = 0
        elif not first.endswith(":"):
            start, end = (int(number, 16) for number in first.split("-"))
            permissions = rest[0]


def move_to_huge_pages(smaps: Path = Path("/proc/self/smaps")) -> None:
    """Move what is worth it. Change nothing where the system has no *smaps*, or cannot move it."""
    try:
        mappings = list(read_mappings(smaps.read_text().splitlines()))
    except OSError:
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for mapping in mappings:
        if mapping.is_worth_it:
            advise(mapping.first, mapping.room, _COLLAPSE)


async def keep_moving_to_huge_pages(
    clock: Clock, move: Callable[[], None] = move_to_huge_pages
) -> None:
    """Call *move* at once, and every ten minutes: clients come."""
    while True:
        await asyncio.to_thread(move)
        await sleep(clock, _EVERY)

"""Memory in huge pages."""

import asyncio
import ctypes
import mmap
from datetime import timedelta
from pathlib import Path

import pytest

from lamplighter.cli.huge_pages import (
    HUGE_PAGE,
    Mapping,
    keep_moving_to_huge_pages,
    move_to_huge_pages,
    read_mappings,
)
from lamplighter.clock import Timestamp, after, next_turn
from lamplighter.devtools.clock import FakeClock

_SMAPS = """\
559d10000000-559d10900000 rw-p 00000000 00:00 0                          [heap]
Size:               9216 kB
KernelPageSize:        4 kB
Rss:                9000 kB
AnonHugePages:      4096 kB
FilePmdMapped:         0 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac sd
7f0000200000-7f0000700000 r-xp 00001000 fe:00 12                         /usr/lib/libpython a.so
Size:               5120 kB
Rss:                 300 kB
AnonHugePages:         0 kB
FilePmdMapped:      2048 kB
VmFlags: rd ex mr mw me sd
"""


def test_what_linux_writes() -> None:
    """Addresses, permissions, memory in use and huge pages are read of each mapping."""
    assert list(read_mappings(_SMAPS.splitlines())) == [
        Mapping(0x559D10000000, 0x559D10900000, "rw-p", 9000 << 10, 4 << 20),
        Mapping(0x7F0000200000, 0x7F0000700000, "r-xp", 300 << 10, 2 << 20),
    ]


@pytest.mark.parametrize(
    ("mapping", "is_worth_it"),
    [
        pytest.param(Mapping(0, 8 << 20, "rw-p", 6 << 20, 0), True, id="data, three quarters"),
        pytest.param(Mapping(0, 8 << 20, "rw-p", 5 << 20, 0), False, id="mostly empty, a stack"),
        pytest.param(Mapping(0, 8 << 20, "rw-p", 8 << 20, 8 << 20), False, id="huge already"),
        pytest.param(
            Mapping(4096, 8 << 20, "rw-p", 8 << 20, 6 << 20), False, id="as huge as it gets"
        ),
        pytest.param(Mapping(4096, 4 << 20, "rw-p", 4 << 20, 0), True, id="one can begin within"),
        pytest.param(Mapping(4096, 4095 << 10, "rw-p", 4 << 20, 0), False, id="none can"),
        pytest.param(Mapping(0, 4 << 20, "r-xp", 4096, 0), True, id="code"),
        pytest.param(Mapping(0, 4 << 20, "r--p", 4 << 20, 0), False, id="data of a file"),
        pytest.param(Mapping(0, 4 << 20, "rw-s", 4 << 20, 0), False, id="shared with others"),
    ],
)
def test_what_is_worth_it(mapping: Mapping, is_worth_it: bool) -> None:
    """Code and full data are, as long as they can have more huge pages than they have."""
    assert mapping.is_worth_it is is_worth_it


def _huge_pages_of(memory: mmap.mmap) -> int:
    view = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(view)
    del view
    lines = Path("/proc/self/smaps").read_text().splitlines()
    return sum(it.huge for it in read_mappings(lines) if it.start <= address < it.end) // HUGE_PAGE


def _memory(kind: int, used: int) -> mmap.mmap:
    """Return private memory of four huge pages, of which the first *used* bytes are in use.

    It is one mapping with no memory of another *kind*, which is an advice to the kernel.
    """
    memory = mmap.mmap(-1, 4 * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(kind)
    memory.write(b"x" * used)
    return memory


def _kernel_moves() -> bool:
    """Whether the kernel moves memory into huge pages when it is told to (Linux 6.1 and later)."""
    memory = _memory(mmap.MADV_NORMAL, 4 * HUGE_PAGE)
    try:
        memory.madvise(25, 0, 4 * HUGE_PAGE)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _kernel_moves(), reason="this kernel moves no memory into huge pages")
def test_memory_is_moved() -> None:
    """Full memory is in huge pages afterwards with the same data; memory of little use is not."""
    full = _memory(mmap.MADV_DONTDUMP, 4 * HUGE_PAGE)
    sparse = _memory(mmap.MADV_DONTFORK, 4096)
    before = _huge_pages_of(full), _huge_pages_of(sparse)
    move_to_huge_pages()
    assert (before, _huge_pages_of(sparse)) == ((0, 0), 0)
    assert _huge_pages_of(full) in {3, 4}  # the first may begin within it
    assert full[:] == b"x" * len(full)


def test_a_system_without_the_list(tmp_path: Path) -> None:
    """Nothing happens where the system does not list a process's memory."""
    move_to_huge_pages(tmp_path / "smaps")


async def test_memory_that_is_used_later() -> None:
    """Memory is moved after the start, and ten minutes after each time."""
    clock, moved, loop = FakeClock(), asyncio.Queue[Timestamp](), asyncio.get_running_loop()

    def move() -> None:
        loop.call_soon_threadsafe(moved.put_nowait, clock.now())

    began = clock.now()
    moving = asyncio.ensure_future(keep_moving_to_huge_pages(clock, move))
    assert await moved.get() == began
    for minutes in (10, 20):
        due = after(began, timedelta(minutes=minutes))
        while clock.next_timer() != due:
            await next_turn()
        clock.advance(milliseconds=due - clock.now())
        assert await moved.get() == due
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)

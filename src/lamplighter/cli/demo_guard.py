"""Ends what a demo has started, if the demo is killed: a process of its own, which outlives it.

The demo tells the guard of each process by a pipe: `+12` as it begins, `-12` as it has ended, and
`done` once all have ended. The pipe ends with the demo, however the demo ends. If nothing was done,
the guard kills what is left, and PostgreSQL, which is no child of the demo, and removes the folder.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from lamplighter.clock import SystemClock, sleep, within

__all__ = ["Guard", "guard_of"]

_LOOKS_EVERY: Final = timedelta(milliseconds=50)
#: How long PostgreSQL may take to end.
_PATIENCE: Final = timedelta(seconds=10)


class Guard:
    """The demo's end of the pipe."""

    def __init__(self, pipe: asyncio.StreamWriter) -> None:
        self._pipe = pipe

    def began(self, pid: int) -> None:
        """Let a process be ended if the demo is killed."""
        self._tell(f"+{pid}")

    def ended(self, pid: int) -> None:
        """A process has ended."""
        self._tell(f"-{pid}")

    def done(self) -> None:
        """Everything has ended."""
        self._tell("done")
        self._pipe.close()

    def _tell(self, line: str) -> None:
        self._pipe.write(f"{line}\n".encode())


@asynccontextmanager
async def guard_of(folder: Path) -> AsyncIterator[Guard]:
    """Guard the demo in *folder* until the block ends. Ctrl-C does not reach the guard."""
    command = (sys.executable, "-m", "lamplighter.cli.demo_guard", folder)
    guarding = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, start_new_session=True
    )
    assert guarding.stdin is not None  # a pipe was asked for
    guard = Guard(guarding.stdin)
    try:
        yield guard
    finally:
        guard.done()
        await guarding.wait()


def _what_is_left(lines: Iterable[str]) -> set[int] | None:
    """Return the processes that have begun and not ended; None if all is done."""
    left = set[int]()
    for line in map(str.strip, lines):
        if line == "done":
            return None
        (left.add if line[0] == "+" else left.discard)(int(line[1:]))
    return left


async def _end(folder: Path, left: set[int]) -> None:
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    written = folder / "postgresql" / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        postgresql = int(written.read_text().split()[0])
        os.kill(postgresql, signal.SIGQUIT)
        await within(SystemClock(), _PATIENCE, _has_ended(postgresql))
    shutil.rmtree(folder, ignore_errors=True)


async def _has_ended(pid: int) -> None:
    with suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            await sleep(SystemClock(), _LOOKS_EVERY)


if __name__ == "__main__":
    unfinished = _what_is_left(sys.stdin)
    if unfinished is not None:
        asyncio.run(_end(Path(sys.argv[1]), unfinished))

"""Ends a process in which modules have run, although they may leave endless work behind.

At the end of a process, Python waits for threads, and asyncio waits for tasks and for the threads
of its executor. A server that has stopped must not wait for modules.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, Self

from lamplighter.clock import SystemClock, within
from lamplighter.modules.server_loop import ServerLoop
from lamplighter.modules.threads import leftover_threads

__all__ = ["MOST_TO_END", "LastResort", "leaving_threads_behind", "run"]

#: How long a process has to end once it was told to. The steps of a stop take less; what takes
#: more holds the event loop. `TimeoutStopSec=` of the service is longer.
MOST_TO_END: Final = timedelta(seconds=31)

#: How long the process waits for tasks and threads that are about to end.
_PATIENCE: Final = timedelta(seconds=1)

_log = logging.getLogger(__name__)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* as `asyncio.run` does, whatever modules do to the event loop.

    Tasks and threads that do not end are not waited for.
    """
    loop = ServerLoop()
    runner = asyncio.Runner(loop_factory=lambda: loop)
    runner.get_loop()
    try:
        loop.complete(work)
    finally:
        # Closing a loop waits for its executor's threads; a new executor has none.
        loop.set_default_executor(ThreadPoolExecutor())
        if loop.complete(_rest_ends(loop)):
            runner.close()


class LastResort:
    """Ends the process with code 1 if the block takes longer than *limit* after `begin`.

    A module can block the event loop for ever. All that was acknowledged is saved by then.
    """

    def __init__(self, limit: timedelta = MOST_TO_END) -> None:
        self._timer = threading.Timer(limit.total_seconds(), _give_up)
        self._timer.daemon = True

    def begin(self) -> None:
        """Start the time."""
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _give_up() -> None:
    _log.error("stopping takes too long: a module holds the event loop; the process ends now")
    logging.shutdown()
    os._exit(1)


@contextmanager
def leaving_threads_behind() -> Iterator[None]:
    """End the process at the block's `SystemExit`, although threads still run."""
    before = threading.enumerate()
    try:
        yield
    except SystemExit as end:
        left = [thread for thread in leftover_threads() if thread not in before]
        if not _end(left):
            names = [thread.name for thread in left if thread.is_alive()]
            _log.warning("not waiting for the threads that modules have left behind: %s", names)
            logging.shutdown()
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise


async def _rest_ends(loop: ServerLoop) -> bool:
    """Cancel all tasks; return whether they have ended."""
    rest = loop.unended_tasks() - {asyncio.current_task()}
    if not rest:
        return True
    for task in rest:
        task.cancel()
    try:
        await within(SystemClock(), _PATIENCE, asyncio.wait(rest))
    except TimeoutError:
        return False
    return True


def _end(threads: Collection[threading.Thread]) -> bool:
    """Return whether *threads* end in time."""

    def join() -> None:
        for thread in threads:
            thread.join()

    waiting = threading.Thread(target=join, daemon=True)
    waiting.start()
    waiting.join(_PATIENCE.total_seconds())
    return not waiting.is_alive()

"""Threads that are at work, so that simulated time waits for them, however busy the machine is.

Time must not pass while a thread does what a module has asked for. It must pass while the thread
itself waits for the time: for what the event loop does at some instant, or for what never comes.
"""

import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, ParamSpec, TypeVar

from lamplighter.modules.threads import ThreadWork, under_way_until_done, work_under_way

__all__ = ["counting_executors", "threads_at_work"]

T = TypeVar("T")
P = ParamSpec("P")

_SUBMIT: Final = ThreadPoolExecutor.submit
#: How many of those that `counting_executors` has are open.
_open = 0


def threads_at_work(left: Collection[ThreadWork] = ()) -> list[ThreadWork]:
    """Return the work that goes on by itself, without what is *left* to itself.

    It does not go on while its thread waits for another, nor behind others that wait so.
    """
    frames = sys._current_frames()  # noqa: SLF001 - Python has no other way to see a thread
    works = work_under_way()
    waiting = {it for it in works if it.thread is not None and _waits(frames.get(it.thread))}
    return [
        it
        for it in works
        if it not in left and it not in waiting and not _is_behind(it, [*waiting, *left])
    ]


@contextmanager
def counting_executors() -> Iterator[None]:
    """Count, until the block ends, what is given to executors: `asyncio.to_thread`, too."""
    global _open  # noqa: PLW0603 - the class that is altered is global, too
    _open += 1
    setattr(ThreadPoolExecutor, "submit", _counted_submit)  # noqa: B010 - it is undone below
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            setattr(ThreadPoolExecutor, "submit", _SUBMIT)  # noqa: B010 - it is as it was


def _counted_submit(
    self: ThreadPoolExecutor, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> "Future[T]":
    begun: list[int] = []
    noted: list[ThreadWork] = []

    def job() -> T:
        begun.append(threading.get_ident())
        for it in noted:
            it.thread = begun[0]
        return fn(*args, **kwargs)

    future = _SUBMIT(self, job)
    size = self._max_workers
    noted.append(ThreadWork(future, self, size))
    for thread in begun:  # it has been faster
        noted[0].thread = thread
    under_way_until_done(noted[0])
    return future


def _is_behind(work: ThreadWork, waiting: Collection[ThreadWork]) -> bool:
    """Tell whether *work* has not begun, and every thread that could begin it waits."""
    if work.thread is not None or work.pool is None:
        return False
    return sum(it.pool is work.pool and it.thread is not None for it in waiting) >= work.pool_size


def _waits(frame: FrameType | None) -> bool:
    """Tell whether a thread waits, without a limit, for what another thread has to do.

    All that `threading`, `queue` and `concurrent.futures` wait with is a condition. A thread stands
    in the condition's list until it is woken, also where it has not noticed yet.
    """
    if frame is None or frame.f_code is not threading.Condition.wait.__code__:
        return False
    local: dict[str, Any] = frame.f_locals
    waiters = local["self"]._waiters  # noqa: SLF001 - the list is what tells
    return local.get("timeout") is None and local.get("waiter") in waiters

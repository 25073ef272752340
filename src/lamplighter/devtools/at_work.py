"""The threads that work for modules, so that simulated time waits for them on a busy machine, too.

Simulated time must stand still while a thread works. Simulated time must pass while a thread waits
for another thread or for the event loop: such a thread may need an event that happens only when
time has passed. For example, `defer_to_thread(queue.get)` waits until the event loop puts an item
into the queue, which it may do an hour later.
"""

import gc
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, ParamSpec, TypeVar

from lamplighter.modules.threads import ThreadWork, under_way_until_done, work_under_way

__all__ = ["counting_executors", "threads_at_work"]

T = TypeVar("T")
P = ParamSpec("P")

_SUBMIT: Final = ThreadPoolExecutor.submit
#: How many `counting_executors` blocks are open.
_open = 0


def threads_at_work(left: Collection[ThreadWork] = ()) -> list[ThreadWork]:
    """Return the work that proceeds without help from outside, except the work in *left*.

    Work does not proceed if its thread waits for another thread, or if all threads that could begin
    it wait.
    """
    frames = _frames_of_threads()
    works = work_under_way()
    waiting = {it for it in works if it.thread is not None and _waits(frames.get(it.thread))}
    return [
        it
        for it in works
        if it not in left and it not in waiting and not _is_behind(it, [*waiting, *left])
    ]


def _frames_of_threads() -> Mapping[int, FrameType]:
    """Return what each thread does at this moment.

    Before Python 3.12 the process may stand still for ever if garbage is collected meanwhile: an
    object that is deleted may need the lock that Python holds (python/cpython#106883).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()  # noqa: SLF001 - Python has no other way to see a thread
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def counting_executors() -> Iterator[None]:
    """Count the work of executors until the block ends, that of `asyncio.to_thread` included."""
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
    for thread in begun:  # the thread has begun before the work was noted
        noted[0].thread = thread
    under_way_until_done(noted[0])
    return future


def _is_behind(work: ThreadWork, waiting: Collection[ThreadWork]) -> bool:
    """Tell whether *work* has not begun, and every thread that could begin it waits."""
    if work.thread is not None or work.pool is None:
        return False
    return sum(it.pool is work.pool and it.thread is not None for it in waiting) >= work.pool_size


def _waits(frame: FrameType | None) -> bool:
    """Tell whether a thread waits for another thread without a time-out.

    `threading`, `queue` and `concurrent.futures` all wait with a `Condition`. A waiting thread is
    in the condition's list until another thread wakes it.
    """
    if frame is None or frame.f_code is not threading.Condition.wait.__code__:
        return False
    local: dict[str, Any] = frame.f_locals
    waiters = local["self"]._waiters  # noqa: SLF001 - the list is what tells
    return local.get("timeout") is None and local.get("waiter") in waiters

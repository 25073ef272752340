"""Threads for what blocks: always daemons, so that one that never ends holds nothing up."""

import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

__all__ = [
    "ThreadWork",
    "Worker",
    "leftover_threads",
    "start_thread",
    "under_way_until_done",
    "work_under_way",
]

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class ThreadWork:
    """Something that a thread does, or is about to begin."""

    future: Future[Any]
    #: The threads that take up this work are those of one pool, and so many.
    pool: object = None
    pool_size: int = 1
    #: The thread's identifier, once it has begun.
    thread: int | None = None


_UNDER_WAY: Final[set[ThreadWork]] = set()


def start_thread(name: str, work: Callable[[], T]) -> "Future[T]":
    """Do *work* in a new thread, in a copy of the caller's context."""
    future: Future[T] = Future()
    job = _counted(future, work, None)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(job,), name=name, daemon=True)
    thread.start()
    return future


class Worker:
    """One thread that does one thing after the other; it starts with the first, till `end`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Do *work* once everything submitted before it is done."""
        future: Future[T] = Future()
        self._jobs.put(_counted(future, work, self))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def end(self, last: Callable[[], T]) -> "Future[T]":
        """Do *last* once everything submitted so far is done, and let the thread end with it.

        Where there is no thread, none is started.
        """
        future: Future[T] = Future()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            _settle(future, last)
        else:
            self._jobs.put(lambda: _settle(future, last))
            self._jobs.put(None)
        return future

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def work_under_way() -> frozenset[ThreadWork]:
    """Return what threads that modules use, of whichever server, have to do."""
    # A thread that ends takes its work out at any moment; one copy of a set is one step.
    return frozenset(_UNDER_WAY)


def under_way_until_done(work: ThreadWork) -> None:
    """Count *work*, that another pool of threads does, until its future is done."""
    _UNDER_WAY.add(work)
    work.future.add_done_callback(lambda _: _UNDER_WAY.discard(work))


def leftover_threads() -> list[threading.Thread]:
    """Return the threads, started by modules, that would keep the process alive.

    Python waits for them when it exits; a server that has stopped must not.
    """
    ours = (threading.main_thread(), threading.current_thread())
    return [t for t in threading.enumerate() if not t.daemon and t not in ours]


def _counted(future: "Future[T]", work: Callable[[], T], pool: object) -> Callable[[], None]:
    """Return what a thread is to call for *work*, which is under way from now on."""
    noted = ThreadWork(future, pool)
    under_way_until_done(noted)

    def job() -> None:
        noted.thread = threading.get_ident()
        _settle(future, work)

    return job


def _settle(future: "Future[T]", work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
        future.set_exception(error)
    else:
        future.set_result(result)

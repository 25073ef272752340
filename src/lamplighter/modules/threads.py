"""Threads for blocking work: daemon threads, so that the process can end while one runs."""

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
    """Work that a thread does, or is about to begin."""

    future: Future[Any]
    #: The pool whose threads do the work, and the number of its threads.
    pool: object = None
    pool_size: int = 1
    #: The thread's identifier, once the work has begun.
    thread: int | None = None


_UNDER_WAY: Final[set[ThreadWork]] = set()


def start_thread(name: str, work: Callable[[], T]) -> "Future[T]":
    """Do *work* in a new thread, with a copy of the caller's context variables."""
    future: Future[T] = Future()
    job = _counted(future, work, None)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(job,), name=name, daemon=True)
    thread.start()
    return future


class Worker:
    """One thread that does its work in order, from the first `submit` until `end`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Do *work* after all work that was submitted before."""
        future: Future[T] = Future()
        self._jobs.put(_counted(future, work, self))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return future

    def end(self, last: Callable[[], T]) -> "Future[T]":
        """Do *last* after all submitted work, and end the thread.

        If there is no thread, the caller does *last*.
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
    """Return the work of all threads that modules use, in all servers of the process."""
    # A thread may remove its work at any time; copying a set is atomic.
    return frozenset(_UNDER_WAY)


def under_way_until_done(work: ThreadWork) -> None:
    """Add *work*, which another pool of threads does, until its future is done."""
    _UNDER_WAY.add(work)
    work.future.add_done_callback(lambda _: _UNDER_WAY.discard(work))


def leftover_threads() -> list[threading.Thread]:
    """Return the threads, started by modules, that keep Python from exiting.

    A server that has stopped must exit without waiting for them.
    """
    ours = (threading.main_thread(), threading.current_thread())
    return [t for t in threading.enumerate() if not t.daemon and t not in ours]


def _counted(future: "Future[T]", work: Callable[[], T], pool: object) -> Callable[[], None]:
    """Return the function for the thread that does *work*, which counts from now on."""
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
    except BaseException as error:  # noqa: BLE001 - the future passes it on
        future.set_exception(error)
    else:
        future.set_result(result)

"""Threads for what blocks: always daemons, so that one that never ends holds nothing up."""

import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

__all__ = ["Worker", "leftover_threads", "start_thread", "work_under_way"]

T = TypeVar("T")

#: What threads are at, or are about to begin.
_UNDER_WAY: Final[set[Future[Any]]] = set()


def start_thread(name: str, work: Callable[[], T]) -> "Future[T]":
    """Do *work* in a new thread, in a copy of the caller's context."""
    future: Future[T] = _counted(Future())
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_settle, future, work), name=name, daemon=True
    )
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
        future: Future[T] = _counted(Future())
        self._jobs.put(lambda: _settle(future, work))
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


def work_under_way() -> "frozenset[Future[Any]]":
    """Return what threads that modules use, of whichever server, have to do."""
    return frozenset(_UNDER_WAY)


def leftover_threads() -> list[threading.Thread]:
    """Return the threads, started by modules, that would keep the process alive.

    Python waits for them when it exits; a server that has stopped must not.
    """
    ours = (threading.main_thread(), threading.current_thread())
    return [t for t in threading.enumerate() if not t.daemon and t not in ours]


def _counted(future: "Future[T]") -> "Future[T]":
    _UNDER_WAY.add(future)
    future.add_done_callback(_UNDER_WAY.discard)
    return future


def _settle(future: "Future[T]", work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
        future.set_exception(error)
    else:
        future.set_result(result)

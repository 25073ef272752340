"""Threads for blocking work."""

import threading
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import pytest

from lamplighter.modules.threads import (
    ThreadWork,
    Worker,
    leftover_threads,
    start_thread,
    under_way_until_done,
    work_under_way,
)

VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


def fail() -> None:
    """Raise an exception that is no Exception."""
    raise SystemExit(3)


def test_start_thread() -> None:
    """A thread is a daemon thread with its name, and has the caller's context variables."""
    token = VARIABLE.set("mine")
    future = start_thread("my thread", lambda: (threading.current_thread(), VARIABLE.get()))
    thread, value = future.result()
    VARIABLE.reset(token)
    assert (thread.name, thread.daemon, value) == ("my thread", True, "mine")


def test_thread_that_raises() -> None:
    """An exception of a thread, also a SystemExit, is raised by its future."""
    with pytest.raises(SystemExit):
        start_thread("x", fail).result()


def test_worker() -> None:
    """A worker does one thing after the other, in one daemon thread; an exception ends nothing."""
    worker = Worker("my worker")
    done: list[int] = []
    futures = [worker.submit(lambda n=n: done.append(n)) for n in range(50)]  # type: ignore[misc]
    broken: Future[None] = worker.submit(fail)
    thread = worker.submit(threading.current_thread).result()
    for future in futures:
        future.result()
    assert done == list(range(50))
    assert (thread.name, thread.daemon) == ("my worker", True)
    assert isinstance(broken.exception(), SystemExit)


def test_the_end_of_a_worker() -> None:
    """Its thread ends after the last work; a worker that had nothing to do starts none for it."""
    worker = Worker("my worker")
    thread = worker.submit(threading.current_thread).result()
    assert worker.end(threading.current_thread).result() is thread
    thread.join()
    assert worker.end(threading.current_thread).result() is threading.current_thread()


def futures_under_way() -> set[Future[Any]]:
    """Return the futures of the work that is under way."""
    return {work.future for work in work_under_way()}


def test_work_under_way() -> None:
    """Work is under way until it is done, or has failed, whichever thread does it."""
    worker, end = Worker("my worker"), threading.Event()
    works: set[Future[Any]] = {worker.submit(end.wait), worker.submit(fail)}
    thread = start_thread("x", end.wait)
    assert {*works, thread} <= futures_under_way()
    end.set()
    assert thread.result()
    left = worker.end(lambda: works & futures_under_way()).result()
    assert left == set()


def test_what_others_do() -> None:
    """The work of another pool of threads is under way until its future is done."""
    work = ThreadWork(Future())
    under_way_until_done(work)
    assert work in work_under_way()
    work.future.set_result(None)
    assert work not in work_under_way()


def test_leftover_threads() -> None:
    """The threads for which Python would wait at its end are found."""
    end = threading.Event()
    threads = [
        threading.Thread(target=end.wait, name="stays", daemon=False),
        threading.Thread(target=end.wait, name="goes", daemon=True),
    ]
    for thread in threads:
        thread.start()
    assert [thread for thread in leftover_threads() if thread in threads] == threads[:1]
    end.set()
    for thread in threads:
        thread.join()

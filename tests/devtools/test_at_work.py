"""Threads that work, and threads that wait."""

import asyncio
import gc
import inspect
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from lamplighter.devtools.at_work import counting_executors, threads_at_work
from lamplighter.modules.threads import ThreadWork, Worker, start_thread, work_under_way


def at_work(*among: "Future[Any]") -> set[int]:
    """Return the places of those of *among* that are at work."""
    futures = [work.future for work in threads_at_work()]
    return {place for place, future in enumerate(among) if future in futures}


def until_it_waits(future: "Future[Any]") -> None:
    """Return once the thread waits."""
    while at_work(future):
        threading.Event().wait(0.001)


@pytest.mark.parametrize("how", ["event", "queue", "future"])
def test_a_thread_that_waits_for_another(how: str) -> None:
    """A thread is at work until it waits, and again as soon as another thread wakes it."""
    go, event = threading.Event(), threading.Event()
    jobs: queue.Queue[int] = queue.Queue()
    promise: Future[int] = Future()
    waits: dict[str, Any] = {"event": event.wait, "queue": jobs.get, "future": promise.result}
    wakes: dict[str, Any] = {
        "event": lambda: event.set(),
        "queue": lambda: jobs.put(1),
        "future": lambda: promise.set_result(1),
    }
    future = start_thread("x", lambda: (waits[how](), go.wait(300)))
    until_it_waits(future)
    wakes[how]()
    assert at_work(future) == {0}
    go.set()
    future.result()
    assert at_work(future) == set()


def test_a_thread_that_waits_for_so_long() -> None:
    """A thread that waits with a time-out goes on by itself: it is at work."""
    end = threading.Event()
    future = start_thread("x", lambda: end.wait(300))
    assert at_work(future) == {0}
    end.set()
    future.result()


def test_behind_one_that_waits() -> None:
    """The queued work of a worker is not at work while the worker waits."""
    worker, end = Worker("x"), threading.Event()
    first, second = worker.submit(end.wait), worker.submit(lambda: 3)
    until_it_waits(first)
    assert at_work(first, second) == set()
    end.set()
    assert second.result() == 3


def test_executors() -> None:
    """The work of executors is counted, and goes on while the executor has a free thread."""
    end = threading.Event()
    with counting_executors(), counting_executors(), ThreadPoolExecutor(2) as executor:
        first = executor.submit(end.wait)
        until_it_waits(first)
        second, third = executor.submit(end.wait), executor.submit(pow, 2, exp=5)
        until_it_waits(second)
        assert at_work(first, second, third) == set()
        end.set()
        assert third.result() == 32
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(end.wait)
        assert future not in [work.future for work in work_under_way()]


async def test_to_thread() -> None:
    """The work of `asyncio.to_thread` is counted."""
    end = threading.Event()
    with counting_executors():
        task = asyncio.ensure_future(asyncio.to_thread(end.wait))
        while not work_under_way():
            await asyncio.wait([task], timeout=0)
        end.set()
        assert await task


def test_what_is_left() -> None:
    """Work in *left* is not waited for."""
    end = threading.Event()
    future = start_thread("x", lambda: end.wait(300))
    left: list[ThreadWork] = threads_at_work()
    assert threads_at_work(left) == []
    end.set()
    future.result()


@pytest.mark.timeout(60)
def test_no_garbage_is_collected_meanwhile() -> None:
    """No garbage is collected while Python looks at the threads: it could stand still for ever.
    Afterwards it is collected as before.
    """
    inside: list[bool] = []

    def begun(phase: str, _facts: dict[str, int]) -> None:
        if phase == "start":
            here = inspect.currentframe()
            assert here is not None
            assert here.f_back is not None
            inside.append(here.f_back.f_code.co_name == "_frames_of_threads")

    thresholds, end = gc.get_threshold(), threading.Event()
    others = [threading.Thread(target=end.wait) for _ in range(20)]
    for thread in others:
        thread.start()
    gc.callbacks.append(begun)
    gc.set_threshold(1, 1, 1)
    try:
        threads_at_work()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(begun)
        end.set()
    assert gc.isenabled()
    assert inside
    assert not any(inside)

"""The work of a request, by count."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["counted_calls", "counted_tasks"]


@contextmanager
def counted_tasks() -> Iterator[list[str]]:
    """Collect the names of the coroutines that become tasks."""
    loop = asyncio.get_running_loop()
    names: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> "asyncio.Task[Any]":
        names.append(work.__qualname__)
        return asyncio.Task(work, loop=loop, **more)

    loop.set_task_factory(factory)
    try:
        yield names
    finally:
        loop.set_task_factory(None)


@contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """Count the calls of Python functions; what is given returns how many there were."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)

"""The work of a request, by count."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lamplighter.service.background import Background
from tests.routing.callbacks import turns

__all__ = ["counted_calls", "counted_functions", "counted_tasks", "most_in_a_cycle"]


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


@contextmanager
def counted_functions(folder: str) -> Iterator[Counter[str]]:
    """Count the calls of Python functions by their qualified names.

    Those count whose file has *folder* in its path, and those that they call themselves.
    """
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        caller = frame.f_back
        if event == "call" and (
            folder in frame.f_code.co_filename
            or (caller is not None and folder in caller.f_code.co_filename)
        ):
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def most_in_a_cycle(background: Background, calls: Counter[str], name: str) -> int:
    """Let all work of *background* end; return how often *name* was called in one cycle at most."""
    most = 0
    while background.is_busy:
        before = calls[name]
        await turns(1)
        most = max(most, calls[name] - before)
    return most

"""How a server stops: in steps, each with its own time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from lamplighter.clock import Clock, after

__all__ = ["Step", "stop_by_steps"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """A part of stopping."""

    #: Its name in the log.
    name: str
    #: How long the server waits for it.
    share: timedelta
    work: Callable[[], Awaitable[None]]


async def stop_by_steps(clock: Clock, steps: Sequence[Step]) -> None:
    """Run *steps* one after the other; return when the last has ended or used up its share.

    A step that takes longer than its share is cancelled, and the next step begins even if the
    cancelled one goes on. A step that raises does not prevent the steps after it; the first
    exception is raised at the end.
    """
    failures: list[BaseException] = []
    for step in steps:
        task = asyncio.ensure_future(step.work())
        if not await _ends_within(clock, step.share, task):
            _log.warning("a step of the stop takes too long and was cancelled", step=step.name)
        elif not task.cancelled() and (failure := task.exception()) is not None:
            failures.append(failure)
    for failure in failures:
        raise failure


async def _ends_within(clock: Clock, limit: timedelta, task: "asyncio.Future[None]") -> bool:
    """Return whether *task* ends within *limit*. If it does not, cancel it without waiting."""
    ended = asyncio.Event()
    timer = clock.call_at(after(clock.now(), limit), ended.set)
    task.add_done_callback(lambda _: ended.set())
    try:
        await ended.wait()
        return task.done()
    finally:
        timer.cancel()
        task.cancel()

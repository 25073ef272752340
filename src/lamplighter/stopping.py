"""How a server stops: step after step, each of which has a share of the time that a stop takes."""

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

    #: What the log calls it.
    name: str
    #: How long it may take.
    share: timedelta
    #: Does it.
    work: Callable[[], Awaitable[None]]


async def stop_by_steps(clock: Clock, steps: Sequence[Step]) -> None:
    """Take *steps* in their order; return once the last of them has ended, or has had its share.

    A step that takes longer is cancelled, and the next one begins whether or not it ends. A step
    that raises keeps no other one from its work: what the first of those raised is raised at last.
    """
    failures: list[BaseException] = []
    for step in steps:
        task = asyncio.ensure_future(step.work())
        if not await _ends_within(clock, step.share, task):
            _log.warning("a step of stopping takes too long and is not waited for", step=step.name)
        elif not task.cancelled() and (failure := task.exception()) is not None:
            failures.append(failure)
    for failure in failures:
        raise failure


async def _ends_within(clock: Clock, limit: timedelta, task: "asyncio.Future[None]") -> bool:
    """Return whether *task* ends before *limit* has passed; if not, cancel it, and wait no more."""
    ended = asyncio.Event()
    timer = clock.call_at(after(clock.now(), limit), ended.set)
    task.add_done_callback(lambda _: ended.set())
    try:
        await ended.wait()
        return task.done()
    finally:
        timer.cancel()
        task.cancel()

"""Runs one callback to its answer, step by step under a watch, in simulated time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, after, milliseconds, sleep
from lamplighter.devtools.check.blocking import WATCHING_THREAD, LoopWatch
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.routing.containment import as_module
from lamplighter.routing.loop_time import stepwise

__all__ = ["NoAnswer", "NotAsync", "WaitLimits", "answered"]

#: A callback that waits only for other code of this loop answers within so many turns.
_TURNS: Final = 6
#: How long one wait in the machine's time lasts, while a thread may be at work.
_WAIT: Final = timedelta(milliseconds=20)


class NotAsync(Exception):
    """The callback is a plain function; `returned` says what it returned."""

    def __init__(self, returned: object) -> None:
        super().__init__(f"it returned {type(returned).__name__}, which cannot be awaited")


class NoAnswer(Exception):
    """The callback does not answer in time."""


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How long the check waits for an answer: by the world's clock, and by the machine's."""

    timeout: timedelta
    machine: Clock
    #: For work of the module in a thread.
    thread: timedelta
    #: The threads that are not a module's.
    others: frozenset[threading.Thread]

    def threads_may_answer(self) -> bool:
        """Tell whether a module has a thread, which may be at work."""
        here = (it for it in threading.enumerate() if it.name != WATCHING_THREAD)
        return any(thread not in self.others for thread in here)

    async def wait_for(self, task: "asyncio.Task[object]") -> None:
        """Wait for *task* for a moment of the machine's time."""
        waited = asyncio.ensure_future(sleep(self.machine, _WAIT))
        await asyncio.wait({task, waited}, return_when=asyncio.FIRST_COMPLETED)
        waited.cancel()


async def answered(
    module: str,
    ask: Callable[[], object],
    watch: LoopWatch,
    clock: FakeClock,
    limits: WaitLimits,
    *,
    at_once: bool = False,
) -> object:
    """Return the answer of the *module*'s callback; raise what it raises, `NotAsync` or `NoAnswer`.

    If the callback waits for the time, *clock* is advanced; with *at_once*, also while the callback
    might wait for a thread.
    """
    with as_module(module):
        task = asyncio.ensure_future(_called(ask, watch))
    await turns_until_idle(_TURNS)
    until = after(clock.now(), limits.timeout)
    waited = timedelta(0)
    for_threads = timedelta(0) if at_once or not limits.threads_may_answer() else limits.thread / 4
    while not task.done():
        due = clock.next_timer()
        if waited >= for_threads and due is not None and due <= until:
            clock.advance_to(due)
            await turns_until_idle(_TURNS)
        elif waited < limits.thread:
            waited += _WAIT
            await limits.wait_for(task)
        else:
            task.cancel()
            await turns_until_idle(_TURNS)
            raise NoAnswer(f"no answer within {milliseconds(limits.timeout) // 1000} s")
    return await task


async def _called(ask: Callable[[], object], watch: LoopWatch) -> object:
    def step(work: Callable[[], object]) -> object:
        with watch.step():
            return work()

    try:
        answer = step(ask)
        if not isinstance(answer, Awaitable):
            raise NotAsync(answer)
        return await stepwise(answer, step)
    except SystemExit as leaving:
        # Out of a task it would end the check.
        failure = RuntimeError(f"the module tried to end the server: {leaving!r}")
        raise failure.with_traceback(leaving.__traceback__) from None

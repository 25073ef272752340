"""Running one callback to its answer: step by step under a watch, in a time that stands still."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from lamplighter.clock import Clock, after, milliseconds, sleep
from lamplighter.devtools.check.blocking import WATCHING_THREAD, LoopWatch
from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns
from lamplighter.routing.containment import as_module

__all__ = ["NoAnswer", "NotAsync", "Patience", "answered"]

#: A callback that waits for nothing but other code of this loop has answered after so many turns.
_TURNS: Final = 5
#: How long each look at the machine's clock lasts, while a thread may be at work.
_GLANCE: Final = timedelta(milliseconds=20)


class NotAsync(Exception):
    """The callback is a plain function; `returned` says what it returned."""

    def __init__(self, returned: object) -> None:
        super().__init__(f"it returned {type(returned).__name__}, which cannot be awaited")


class NoAnswer(Exception):
    """The callback waits for what does not come."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for: on the world's clock, and on the machine's."""

    timeout: timedelta
    machine: Clock
    #: For what a module does in a thread.
    thread: timedelta
    #: The threads that are not a module's.
    others: frozenset[threading.Thread]

    def threads_may_answer(self) -> bool:
        """Tell whether a module has a thread, which may be at work."""
        here = (it for it in threading.enumerate() if it.name != WATCHING_THREAD)
        return any(thread not in self.others for thread in here)

    async def glance(self, task: "asyncio.Task[object]") -> None:
        """Give *task* a moment of the machine's time."""
        glance = asyncio.ensure_future(sleep(self.machine, _GLANCE))
        await asyncio.wait({task, glance}, return_when=asyncio.FIRST_COMPLETED)
        glance.cancel()


async def answered(
    module: str,
    ask: Callable[[], object],
    watch: LoopWatch,
    clock: FakeClock,
    patience: Patience,
    *,
    at_once: bool = False,
) -> object:
    """Return what the *module*'s callback answers; raise what it raises, `NotAsync` or `NoAnswer`.

    If it waits for the time, *clock* is advanced: with *at_once*, even where it might wait for a
    thread.
    """
    with as_module(module):
        task = asyncio.ensure_future(_stepwise(ask, watch))
    await turns(_TURNS)
    until = after(clock.now(), patience.timeout)
    waited = timedelta(0)
    patient = timedelta(0) if at_once or not patience.threads_may_answer() else patience.thread / 4
    while not task.done():
        due = clock.next_timer()
        if waited >= patient and due is not None and due <= until:
            clock.advance_to(due)
            await turns(_TURNS)
        elif waited < patience.thread:
            waited += _GLANCE
            await patience.glance(task)
        else:
            task.cancel()
            await turns(_TURNS)
            raise NoAnswer(f"no answer within {milliseconds(patience.timeout) // 1000} s")
    return await task


async def _stepwise(ask: Callable[[], object], watch: LoopWatch) -> object:
    try:
        with watch.step():
            answer = ask()
        if not isinstance(answer, Awaitable):
            raise NotAsync(answer)
        return await _Stepwise(answer, watch)
    except SystemExit as leaving:
        # Out of a task it would end the check.
        failure = RuntimeError(f"the module tried to end the server: {leaving!r}")
        raise failure.with_traceback(leaving.__traceback__) from None


class _Stepwise:
    """Awaits something, each step under the watch."""

    def __init__(self, work: Awaitable[object], watch: LoopWatch) -> None:
        self._work = work
        self._watch = watch

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._work.__await__()
        advance: Callable[[], object] = lambda: next(steps)  # noqa: E731 - it is replaced below
        while True:
            try:
                with self._watch.step():
                    awaited = advance()
            except StopIteration as end:
                return end.value
            advance = yield from self._waiting(steps, awaited)

    def _waiting(self, steps: Any, awaited: object) -> Generator[Any, Any, Callable[[], object]]:
        """Wait for what a step waits for; return the next step."""
        try:
            value = yield awaited
        except BaseException as error:  # noqa: BLE001 - it is the module's to see, too
            failure = error
            return lambda: steps.throw(failure)
        return lambda: steps.send(value)

"""Work that modules leave to the server: it runs in the server's loop, and ends with it.

Modules ask for it from anywhere: from `__init__`, where no loop runs yet, from a callback, from a
thread of their own. What comes before `start` waits for it; what comes after `stop` is refused.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import structlog

from lamplighter.clock import Clock, sleep
from lamplighter.errors import ShuttingDown
from lamplighter.log_limits import LogLimit
from lamplighter.routing.containment import as_module, as_server

__all__ = ["BackgroundWork", "Job", "Label", "resolved"]

T = TypeVar("T")

#: How long `stop` waits for what does not let itself be cancelled.
PATIENCE: Final = timedelta(seconds=2)

_log = structlog.get_logger(__name__)


class Label(NamedTuple):
    """Whose work it is, and what the module calls it."""

    module: str
    desc: str


class Job(Future[T]):
    """Work under way, or done: await it, ask for `result()` from a thread, or leave it alone."""

    def __init__(self) -> None:
        super().__init__()
        # From here on, who gives up waiting for it does not cancel it for the others.
        self.set_running_or_notify_cancel()

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()


class _Call(Protocol):
    """Something that waits for its time."""

    def cancel(self) -> None:
        """Make sure that it does not happen (again)."""


class BackgroundWork:
    """The background work of all modules of a server."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = False
        self._stopped = False
        self._discarded: set[str] = set()
        self._waiting: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: set[_Call] = set()
        self._said = LogLimit()

    def prepare(self) -> None:
        """Serve who asks from the event loop that runs now; everything else waits for `start`."""
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin with everything asked for so far, in the event loop that runs now."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._started = True
            waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    async def stop(self) -> None:
        """Cancel all of it; return once it has ended, or does not want to end."""
        with self._lock:
            self._stopped = True
            waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
        for call in tuple(self._calls):
            call.cancel()
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        patience = asyncio.ensure_future(sleep(self.clock, PATIENCE))
        ended = asyncio.ensure_future(asyncio.wait(set(self._tasks)))
        await asyncio.wait({patience, ended}, return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        ended.cancel()
        for task in self._tasks:
            _log.warning("background work does not end", task=task.get_name())

    def discard(self, module: str) -> None:
        """Begin nothing of what *module* has asked for, or asks for from now on."""
        self._discarded.add(module)

    def refuses(self, label: Label) -> bool:
        """Whether nothing begins any more: the server stops, or the module was discarded."""
        return self._stopped or label.module in self._discarded

    def serves(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Tell whether the work is done in *loop*."""
        return self._loop is loop

    def soon(self, callback: Callable[[], None]) -> None:
        """Call *callback* in the server's loop: now if this is it, else as soon as can be.

        It is called even if the server has stopped, to find that out; but not in any loop then.
        """
        with self._lock:
            loop = self._loop
            if not self._started and not self._stopped:
                self._waiting.append(callback)
                return
        if loop is None or self._stopped or loop is _running_loop():
            callback()
            return
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop was closed just now
            callback()

    def run(self, label: Label, work: Callable[[], Awaitable[T]]) -> Job[T]:
        """Do *work*, an async function; whoever awaits the job gets what it raises.

        An exception is logged in any case. The job of a server that stops raises `ShuttingDown`.
        """
        job: Job[T] = Job()
        context = contextvars.copy_context()

        def begin() -> None:
            if self.refuses(label):
                why = "the server stops" if self._stopped else "the module is not loaded"
                job.set_exception(ShuttingDown(f"{label.desc}: {why}"))
            else:
                self._spawn(label, _perform(job, label, work, self.clock, self._said), context)

        self.soon(begin)
        return job

    def run_quietly(self, label: Label, work: Callable[[], Awaitable[T]]) -> Job[T | None]:
        """Do *work* as `run` does; but its job gives None where it raises."""
        job: Job[T | None] = Job()

        def conclude(done: Future[T]) -> None:
            job.set_result(None if done.exception() else done.result())

        self.run(label, work).add_done_callback(conclude)
        return job

    async def in_server_loop(self, label: Label, work: Callable[[], Awaitable[T]]) -> T:
        """Return what *work* returns, done in the server's loop, whichever loop runs here."""
        if self._loop is not None and self._loop is _running_loop():
            return await _by_the_server(work)
        return await self.run(label, lambda: _by_the_server(work))

    def track(self, call: _Call) -> None:
        """Cancel *call* when the server stops."""
        self._calls.add(call)

    def untrack(self, call: _Call) -> None:
        """Forget *call*, which is over."""
        self._calls.discard(call)

    def _spawn(
        self, label: Label, work: Coroutine[Any, Any, None], context: contextvars.Context
    ) -> None:
        assert self._loop is not None
        name = f"{label.module}: {label.desc}"
        with as_server():  # it is contained here, and ends with the server
            task = self._loop.create_task(work, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def resolved(value: object) -> Any:
    """Return what a function that may be async has returned, awaited if it must be."""
    return await value if inspect.isawaitable(value) else value


async def _by_the_server(work: Callable[[], Awaitable[T]]) -> T:
    with as_server():
        return await work()


async def _perform(
    job: Job[T],
    label: Label,
    work: Callable[[], Awaitable[T]],
    clock: Clock,
    said: LogLimit,
) -> None:
    try:
        with as_module(label.module):
            result = await work()
    except asyncio.CancelledError:
        job.set_exception(ShuttingDown(f"{label.desc}: the server stops"))
        raise
    except BaseException as error:  # noqa: BLE001 - a SystemExit here would end the server
        left_out = said.admits((label, type(error).__name__), clock.now())
        if left_out is not None:
            more = {"left_out": left_out} if left_out else {}
            _log.exception("background work failed", module=label.module, desc=label.desc, **more)
        job.set_exception(error)
    else:
        job.set_result(result)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

"""Background work of modules: it runs in the server's event loop, and ends with the server.

A module may ask for work anywhere: in `__init__`, where no loop runs yet, in a callback, or in a
thread of its own. Work from before `start` begins with `start`; work from after `stop` is refused.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Generator
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

#: How long `stop` waits for work that does not end when it is cancelled.
STOP_TIMEOUT: Final = timedelta(seconds=2)

_log = structlog.get_logger(__name__)


class Label(NamedTuple):
    """The module whose work it is, and the module's name for the work."""

    module: str
    desc: str


class Job(Future[T]):
    """Work that runs or has ended: await it, or call `result()` in a thread, or ignore it."""

    def __init__(self) -> None:
        super().__init__()
        # A running future is not cancelled when one of the tasks that await it is.
        self.set_running_or_notify_cancel()

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()


class _Call(Protocol):
    """A call at a later time."""

    def cancel(self) -> None:
        """Do not make the call (again)."""


class BackgroundWork:
    """The background work of the modules of a set."""

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
        """Use the running event loop for `in_server_loop`; all other work waits for `start`."""
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin all work so far in the running event loop."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._started = True
            waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    async def stop(self) -> None:
        """Cancel all work; return once it has ended, or has not ended within two seconds."""
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
        timeout = asyncio.ensure_future(sleep(self.clock, STOP_TIMEOUT))
        ended = asyncio.ensure_future(asyncio.wait(set(self._tasks)))
        await asyncio.wait({timeout, ended}, return_when=asyncio.FIRST_COMPLETED)
        timeout.cancel()
        ended.cancel()
        for task in self._tasks:
            _log.warning("background work does not end", task=task.get_name())

    def discard(self, module: str) -> None:
        """Begin no work of *module* any more, from before this call or after it."""
        self._discarded.add(module)

    def refuses(self, label: Label) -> bool:
        """Tell whether no work begins: the server stops, or the module was discarded."""
        return self._stopped or label.module in self._discarded

    def runs_here(self) -> bool:
        """Tell whether the running event loop is the one of this work."""
        return self._loop is not None and self._loop is _running_loop()

    def soon(self, callback: Callable[[], None]) -> None:
        """Call *callback* in the server's loop, at once if that is the running loop.

        If the server has stopped, *callback* is called here and must ask `refuses`.
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
        except RuntimeError:  # the loop has just been closed
            callback()

    def run(self, label: Label, work: Callable[[], Awaitable[T]]) -> Job[T]:
        """Do *work*, an async function; the job has its result, or its exception.

        An exception is always logged. If the server stops, the job raises `ShuttingDown`.
        """
        job: Job[T] = Job()
        context = contextvars.copy_context()

        def begin() -> None:
            if self.refuses(label):
                why = "the server stops" if self._stopped else "the module is not loaded"
                job.set_exception(ShuttingDown(f"{label.desc}: {why}"))
                return
            assert self._loop is not None
            performed = _perform(job, label, work, self.clock, self._said)
            with as_server():  # `_perform` contains the exceptions, and `stop` ends the task
                task = self._loop.create_task(
                    performed, name=f"{label.module}: {label.desc}", context=context
                )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self.soon(begin)
        return job

    def run_quietly(self, label: Label, work: Callable[[], Awaitable[T]]) -> Job[T | None]:
        """Do *work* as `run` does, but return None from the job if *work* raises."""
        job: Job[T | None] = Job()

        def conclude(done: Future[T]) -> None:
            job.set_result(None if done.exception() else done.result())

        self.run(label, work).add_done_callback(conclude)
        return job

    async def in_server_loop(self, label: Label, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work* in the server's loop, and return its result; any loop may run here."""
        if self.runs_here():
            return await _by_the_server(work)
        return await self.run(label, lambda: _by_the_server(work))

    def track(self, call: _Call) -> None:
        """Cancel *call* when the server stops."""
        self._calls.add(call)

    def untrack(self, call: _Call) -> None:
        """Forget *call*, which was made or cancelled."""
        self._calls.discard(call)


async def resolved(value: object) -> Any:
    """Return *value*, the result of a function that may be async; await it if it is awaitable."""
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

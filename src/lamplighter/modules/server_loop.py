"""The event loop that the server shares with its modules, and that no module can end.

A module runs in the server's process and event loop. Code that was written to be alone in its
process could end both, in three ways:

- it raises `SystemExit` in a task of its own: here, this ends only that task;
- it calls `loop.stop()`: the server starts the loop again;
- it cancels all of `asyncio.all_tasks()`: these are only the tasks of modules, because the loop
  does not list the tasks of the server.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import Context
from types import FrameType
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack
from weakref import WeakSet

import structlog
import uvloop

from lamplighter.routing.containment import described, running_module

__all__ = ["ServerLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = structlog.get_logger(__name__)

_NOT_FOR_MODULES: Final = "the event loop is the server's, and not for module {module} to change"


class ServerLoop(uvloop.Loop):
    """uvloop's event loop, protected from modules."""

    def __init__(self) -> None:
        super().__init__()
        self._own: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._stopped_by: str | None = None
        self._interrupts = 0
        super().set_task_factory(_make_task)

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* to its end and return its result, even if a module stops the loop.

        Ctrl-C cancels *work*, and `KeyboardInterrupt` is raised when it has ended, as by
        `asyncio.run`. A second Ctrl-C raises `KeyboardInterrupt` at once.
        """
        main = self.create_task(work)
        with self._interrupting(main):
            while True:
                try:
                    return self.run_until_complete(main)
                except asyncio.CancelledError:
                    if self._interrupts:
                        raise KeyboardInterrupt from None
                    raise
                except (SystemExit, KeyboardInterrupt) as leaving:
                    if main.done() or self._interrupts:
                        raise
                    _log.error(
                        "a module tried to end the server: the server goes on",
                        problem=described(leaving),
                        code=_place_of(leaving),
                    )
                except RuntimeError:
                    if main.done():
                        raise
                    _log.error(
                        "a module stopped the event loop: the server goes on",
                        module=self._stopped_by,
                    )

    def unended_tasks(self) -> AbstractSet["asyncio.Task[Any]"]:
        """Return all tasks that have not ended, of the server and of modules."""
        return {*asyncio.all_tasks(self), *(task for task in self._own if not task.done())}

    def hide(self, task: "asyncio.Task[Any]") -> None:
        """Take *task* out of the tasks that `asyncio.all_tasks` returns."""
        asyncio._unregister_task(task)  # noqa: SLF001 - asyncio's documentation has it
        self._own.add(task)

    def stop(self) -> None:
        self._stopped_by = running_module() or "unknown"
        super().stop()

    def set_task_factory(self, factory: Any) -> None:
        _refuse_modules()
        super().set_task_factory(factory)

    def set_exception_handler(self, handler: Any) -> None:
        _refuse_modules()
        super().set_exception_handler(handler)

    def set_default_executor(self, executor: Any) -> None:
        _refuse_modules()
        super().set_default_executor(executor)

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts
    ) -> None:
        _refuse_modules()
        super().add_signal_handler(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        _refuse_modules()
        return super().remove_signal_handler(sig)

    async def shutdown_default_executor(self, *args: Any) -> None:
        _refuse_modules()
        await super().shutdown_default_executor(*args)

    async def shutdown_asyncgens(self) -> None:
        _refuse_modules()
        await super().shutdown_asyncgens()

    @contextmanager
    def _interrupting(self, main: "asyncio.Task[Any]") -> Iterator[None]:
        """Make Ctrl-C cancel *main*, unless another handler is installed."""

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            self._interrupts += 1
            if self._interrupts > 1 or main.done():
                raise KeyboardInterrupt
            main.cancel()
            self.call_soon_threadsafe(lambda: None)

        is_ours = threading.current_thread() is threading.main_thread()
        is_ours = is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if not is_ours:
            yield
            return
        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)


class _Contained(Coroutine[Any, Any, Any]):
    """The coroutine of a module's task; it never raises `SystemExit` or `KeyboardInterrupt`."""

    def __init__(self, module: str, work: Any) -> None:
        self._module = module
        self._work = work

    def __await__(self) -> Any:
        return self._work.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    def send(self, value: Any) -> Any:
        return self._step(lambda: self._work.send(value))

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        del traceback  # the exception has it
        return self._step(lambda: self._work.throw(kind if value is None else value))

    def close(self) -> None:
        self._work.close()

    def _step(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (SystemExit, KeyboardInterrupt) as leaving:
            _log.error(
                "a module tried to end the server: the server goes on",
                module=self._module,
                problem=described(leaving),
                exc_info=leaving,
            )
            message = f"the module tried to end the server: {described(leaving)}"
            raise RuntimeError(message) from None


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Any, *, context: Context | None = None
) -> "asyncio.Task[Any]":
    """Return a task for *work*: contained if a module starts it, else the server's own."""
    module = running_module()
    if module is not None:
        return asyncio.Task(_Contained(module, work), loop=loop, context=context)
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    if isinstance(loop, ServerLoop):
        loop.hide(task)
    return task


def _refuse_modules() -> None:
    module = running_module()
    if module is not None:
        raise RuntimeError(_NOT_FOR_MODULES.format(module=module))


def _place_of(failure: BaseException) -> str | None:
    """Return the Python module and the line that raised *failure*."""
    traceback = failure.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return None
    return f"{traceback.tb_frame.f_globals.get('__name__')}, line {traceback.tb_lineno}"

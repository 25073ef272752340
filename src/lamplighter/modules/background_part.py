"""`ModuleApi`, the part about background work: later, in a loop, in threads, in the database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, overload

from lamplighter.clock import sleep
from lamplighter.modules.background import Job, Label, resolved
from lamplighter.modules.cache import CachedFunction
from lamplighter.modules.calls import DelayedCall, LoopingCall, duration_of, name_of
from lamplighter.modules.parts import ApiPart
from lamplighter.modules.storage import ModuleTransaction
from lamplighter.modules.threads import start_thread

__all__ = ["BackgroundPart"]

T = TypeVar("T")
P = ParamSpec("P")

_MILLISECOND: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)


class BackgroundPart(ApiPart):
    """Background work; every method may be called in `__init__`, and in any thread.

    Work from before the start of the server begins with the server, and all work ends with it.
    Exceptions are logged with the module's name.
    """

    @overload
    def run_in_background(
        self, f: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Job[T]: ...
    @overload
    def run_in_background(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Job[T]: ...
    def run_in_background(
        self, f: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> Job[Any]:
        """Call *f*, which may be async, in the server's loop; the job can be awaited."""
        label = Label(self._module, name_of(f))
        return self._parts.background.run(label, lambda: resolved(f(*args, **kwargs)))

    def run_as_background_process(
        self,
        desc: str,
        func: Callable[..., object],
        *args: Any,
        bg_start_span: bool = True,
        **kwargs: Any,
    ) -> Job[Any]:
        """Call *func* in the server's loop, under the name *desc* in the log.

        The job's result is None if *func* raises. *bg_start_span* has no effect: there is no
        tracing.
        """
        del bg_start_span
        return self._parts.background.run_quietly(
            Label(self._module, desc), lambda: resolved(func(*args, **kwargs))
        )

    def looping_background_call(
        self,
        f: Callable[..., object],
        msec: float,
        *args: Any,
        desc: str | None = None,
        run_on_all_instances: bool = False,
        **kwargs: Any,
    ) -> LoopingCall:
        """Call *f*, which may be async, every *msec* milliseconds, the first time after *msec*.

        A call begins only after the one before has ended. A server with several nodes does so on
        one of them at a time, whose end another one takes over; with *run_on_all_instances*, each
        does. A call that has begun goes on to its end.
        """
        label = Label(self._module, desc or name_of(f))
        period = duration_of(msec, _MILLISECOND)
        return LoopingCall(
            self._parts.background,
            label,
            lambda: resolved(f(*args, **kwargs)),
            period,
            begins=None if run_on_all_instances else self._parts.server.node.is_chosen,
        )

    def delayed_background_call(
        self,
        msec: float,
        f: Callable[..., object],
        *args: Any,
        desc: str | None = None,
        **kwargs: Any,
    ) -> DelayedCall:
        """Call *f*, which may be async, after *msec* milliseconds; the result has `cancel`."""
        label = Label(self._module, desc or name_of(f))
        delay = duration_of(msec, _MILLISECOND)
        return DelayedCall(
            self._parts.background, label, lambda: resolved(f(*args, **kwargs)), delay
        )

    def should_run_background_tasks(self) -> bool:
        """Tell whether this node does what one node does at a time; the answer may change."""
        return self._parts.server.node.is_chosen()

    def get_current_time_msec(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return int(self._parts.background.clock.now())

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds* on the server's clock."""
        clock = self._parts.background.clock
        await self._serve("sleep", lambda: sleep(clock, duration_of(seconds, _SECOND)))

    async def defer_to_thread(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *f*, which may block, in a thread, and return its result.

        The thread is a daemon thread: the server can stop even if the thread never ends.
        """
        future = start_thread(f"{self._module}: {name_of(f)}", lambda: f(*args, **kwargs))
        return await asyncio.wrap_future(future)

    def run_db_interaction(
        self,
        desc: str,
        func: Callable[Concatenate[ModuleTransaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[T]:
        """Call *func* with a cursor, in a thread, as one transaction on the modules' database.

        The transaction is committed if *func* returns, and rolled back if it raises. The SQL is
        that of the server's database, SQLite or PostgreSQL, with parameters written `?` or `:name`.
        Errors are the driver's. Only one transaction runs at a time, on all nodes together. In
        PostgreSQL a statement may take a minute, and the next one has to follow in half a minute.
        """
        label = Label(self._module, desc)
        return self._parts.database.run(label, func, *args, **kwargs)

    def register_cached_function(self, cached_func: CachedFunction[Any]) -> None:
        """Do nothing: `cached_func.invalidate` is enough in a single process."""

    async def invalidate_cache(
        self, cached_func: CachedFunction[Any], keys: tuple[Any, ...]
    ) -> None:
        """Remove one answer from the cache of a function that is decorated with `cached`."""
        cached_func.invalidate(keys)

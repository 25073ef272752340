"""`ModuleApi`, the part about work that is done later, elsewhere, or again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, overload

from lamplighter.clock import sleep
from lamplighter.modules.background import Job, Label, resolved
from lamplighter.modules.cache import CachedFunction
from lamplighter.modules.calls import DelayedCall, LoopingCall, bound, duration_of, name_of
from lamplighter.modules.parts import ApiPart
from lamplighter.modules.storage import Transaction
from lamplighter.modules.threads import start_thread

__all__ = ["BackgroundPart"]

T = TypeVar("T")
P = ParamSpec("P")

_MILLISECOND: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)


class BackgroundPart(ApiPart):
    """Everything here may be called from `__init__`, and from any thread.

    What is asked for before the server runs begins when it does. All of it ends with the server.
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
        """Call *f*, which may be async, in the server's loop; what is returned can be awaited."""
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
        """Call *func* in the server's loop, named *desc* in the log.

        Awaiting the result gives None where *func* raises. There is no tracing here, so
        *bg_start_span* changes nothing.
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

        The next call waits until the last one has ended. This server is one instance.
        """
        del run_on_all_instances
        label = Label(self._module, desc or name_of(f))
        period = duration_of(msec, _MILLISECOND)
        return LoopingCall(self._parts.background, label, bound(f, args, kwargs), period)

    def delayed_background_call(
        self,
        msec: float,
        f: Callable[..., object],
        *args: Any,
        desc: str | None = None,
        **kwargs: Any,
    ) -> DelayedCall:
        """Call *f*, which may be async, in *msec* milliseconds; what is returned has `cancel`."""
        label = Label(self._module, desc or name_of(f))
        delay = duration_of(msec, _MILLISECOND)
        return DelayedCall(self._parts.background, label, bound(f, args, kwargs), delay)

    def should_run_background_tasks(self) -> bool:
        """Tell whether this process is the one for background work: it is the only one."""
        return True

    def get_current_time_msec(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return int(self._parts.background.clock.now())

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*, by the server's clock."""
        clock = self._parts.background.clock
        await self._serve("sleep", lambda: sleep(clock, duration_of(seconds, _SECOND)))

    async def defer_to_thread(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *f*, which may block, returns in a thread.

        The thread is a daemon: if it never ends, the server stops all the same.
        """
        future = start_thread(f"{self._module}: {name_of(f)}", lambda: f(*args, **kwargs))
        return await asyncio.wrap_future(future)

    def run_db_interaction(
        self,
        desc: str,
        func: Callable[Concatenate[Transaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[T]:
        """Call *func* with a cursor, in a thread: one transaction on the modules' own database.

        It is committed if *func* returns, and undone if it raises. SQLite's SQL; parameters are
        written `?`. The interactions of all modules follow one another.
        """
        label = Label(self._module, desc)
        return self._parts.database.run(label, func, *args, **kwargs)

    def register_cached_function(self, cached_func: CachedFunction[Any]) -> None:
        """Do nothing: there is one process, and `cached_func.invalidate` reaches all of it."""

    async def invalidate_cache(
        self, cached_func: CachedFunction[Any], keys: tuple[Any, ...]
    ) -> None:
        """Forget one answer of a function that is decorated with `cached`."""
        cached_func.invalidate(keys)

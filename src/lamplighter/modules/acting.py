"""The functions that modules import, and call without their API, such as `run_in_background`."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar

from lamplighter.modules.background import BackgroundWork, Job, Label, resolved
from lamplighter.modules.background_part import BackgroundPart
from lamplighter.modules.calls import name_of

__all__ = ["ImportedFunctions", "acting", "make_deferred_yieldable"]

T = TypeVar("T")
P = ParamSpec("P")

_ACTING: Final[ContextVar[BackgroundPart]] = ContextVar("acting")


@contextmanager
def acting(api: BackgroundPart) -> Iterator[None]:
    """Mark the code in the block, and the tasks that it starts, as the code of *api*'s module."""
    token = _ACTING.set(api)
    try:
        yield
    finally:
        _ACTING.reset(token)


class ImportedFunctions:
    """The functions of `synapse.module_api`.

    They find the server by the module whose code runs, or else by the running event loop. A thread
    that a module has started has neither; there they take the newest server.
    """

    def __init__(self) -> None:
        self._servers: list[BackgroundWork] = []

    def add(self, server: BackgroundWork) -> None:
        """Work for modules of *server* as well; it is the newest server now."""
        self.remove(server)
        self._servers.append(server)

    def remove(self, server: BackgroundWork) -> None:
        """Forget *server*; harmless if it is unknown."""
        if server in self._servers:
            self._servers.remove(server)

    def run_in_background(
        self, f: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> Job[Any]:
        """Call *f*, which may be async, in the server's loop; the job can be awaited."""
        api = _ACTING.get(None)
        if api is not None:
            return api.run_in_background(f, *args, **kwargs)
        label = Label(_module_of(f), name_of(f))
        return self._server().run(label, lambda: resolved(f(*args, **kwargs)))

    def run_as_background_process(
        self,
        desc: str,
        func: Callable[..., object],
        *args: Any,
        bg_start_span: bool = True,
        **kwargs: Any,
    ) -> Job[Any]:
        """Call *func* in the server's loop; the job's result is None if *func* raises."""
        del bg_start_span
        api = _ACTING.get(None)
        if api is not None:
            return api.run_as_background_process(desc, func, *args, **kwargs)
        label = Label(_module_of(func), desc)
        return self._server().run_quietly(label, lambda: resolved(func(*args, **kwargs)))

    def _server(self) -> BackgroundWork:
        if not self._servers:
            raise RuntimeError("no server runs that could do this in the background")
        here = [server for server in self._servers if server.runs_here()]
        return (here or self._servers)[-1]


def make_deferred_yieldable(deferred: Awaitable[T]) -> Awaitable[T]:
    """Return *deferred*: here, every awaitable can be awaited."""
    return deferred


def _module_of(f: object) -> str:
    return str(getattr(f, "__module__", None) or "unknown")

"""Running a module's code so that no exception of the module ends the server.

The server always knows whose code runs: `as_module` and `contained` mark a module's code, and
`as_server` marks the server's own code where a module calls it. Tasks inherit the mark, because it
is a context variable. The event loop (`modules/server_loop.py`) decides by it what a task may do.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Final

from lamplighter.routing.loop_time import Holding

__all__ = ["as_module", "as_server", "contained", "described", "running_module"]

_RUNNING: Final[ContextVar[str | None]] = ContextVar("running", default=None)


def running_module() -> str | None:
    """Return the name of the module whose code runs; None if it is the server's own."""
    return _RUNNING.get()


@contextmanager
def as_module(name: str | None) -> Iterator[None]:
    """Mark the code in the block, and the tasks that it starts, as the code of that module."""
    token = _RUNNING.set(name)
    try:
        yield
    finally:
        _reset(token)


def as_server() -> AbstractContextManager[None]:
    """Mark the code in the block as the server's own, although a module has called it."""
    return as_module(None)


def _reset(token: Token[str | None]) -> None:
    # Python may close an abandoned task in any context.
    with suppress(ValueError):
        _RUNNING.reset(token)


async def contained(
    module: str, call: Callable[[], Awaitable[object]], holding: Holding | None = None
) -> object:
    """Return the answer of a *module*'s callback; raise no exception that ends the event loop.

    A `SystemExit` that leaves a task would end the server, so it becomes a `RuntimeError`.
    *holding* measures how long the callback holds the event loop.
    """
    token = _RUNNING.set(module)
    try:
        work = call() if holding is None else holding.step(call)
        if not inspect.isawaitable(work):
            raise TypeError(f"the callback is not async: it returned {type(work).__name__}")
        return await (work if holding is None else holding.steps_of(work))
    except (SystemExit, KeyboardInterrupt) as leaving:
        message = f"the module tried to end the server: {described(leaving)}"
        raise RuntimeError(message) from None
    finally:
        _reset(token)


def described(failure: BaseException) -> str:
    """Return *failure* as text, even if its own `repr` raises."""
    try:
        return f"{failure!r:.500}"
    except BaseException:  # noqa: BLE001 - a module's repr may raise anything
        return type(failure).__name__

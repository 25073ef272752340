"""Running a module's code so that nothing it raises ends the server."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Final

from lamplighter.routing.loop_time import Holding

__all__ = ["as_module", "as_server", "contained", "described", "running_module"]

_RUNNING: Final[ContextVar[str | None]] = ContextVar("running", default=None)


def running_module() -> str | None:
    """Return the name of the module whose code runs; None where it is the server's own."""
    return _RUNNING.get()


@contextmanager
def as_module(name: str) -> Iterator[None]:
    """What is called within, and the tasks that it starts, is the code of that module."""
    yield from _running(name)


@contextmanager
def as_server() -> Iterator[None]:
    """What is called within is the server's own code, though a module has called it."""
    yield from _running(None)


def _running(name: str | None) -> Iterator[None]:
    token = _RUNNING.set(name)
    try:
        yield
    finally:
        _reset(token)


def _reset(token: Token[str | None]) -> None:
    # A task that is thrown away unfinished is closed in no matter which context.
    with suppress(ValueError):
        _RUNNING.reset(token)


async def contained(
    module: str, call: Callable[[], Awaitable[object]], holding: Holding | None = None
) -> object:
    """Return what the *module*'s callback answers; raise only what a task can hold.

    A `SystemExit` out of a task would end the server. *holding* accounts for the time it takes.
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
    """Return *failure* as text, even where its own `repr` raises."""
    try:
        return f"{failure!r:.500}"
    except BaseException:  # noqa: BLE001 - whatever a module's repr may raise
        return type(failure).__name__

"""Running a module's code so that nothing it raises ends the server."""

import inspect
from collections.abc import Awaitable, Callable

__all__ = ["contained", "described"]


async def contained(call: Callable[[], Awaitable[object]]) -> object:
    """Return what the callback answers; raise only what a task can hold.

    A `SystemExit` out of a task would end the server.
    """
    try:
        work = call()
        if not inspect.isawaitable(work):
            raise TypeError(f"the callback is not async: it returned {type(work).__name__}")
        return await work
    except (SystemExit, KeyboardInterrupt) as leaving:
        message = f"the module tried to end the server: {described(leaving)}"
        raise RuntimeError(message) from None


def described(failure: BaseException) -> str:
    """Return *failure* as text, even where its own `repr` raises."""
    try:
        return f"{failure!r:.500}"
    except BaseException:  # noqa: BLE001 - whatever a module's repr may raise
        return type(failure).__name__

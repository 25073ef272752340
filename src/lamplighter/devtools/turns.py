"""Turns of the event loop: what is ready runs, and no time passes."""

import asyncio
from collections.abc import Sized
from typing import Final

from lamplighter.clock import next_turn

__all__ = ["nothing_is_ready", "turns", "turns_until_idle"]

#: After so many turns something that is always ready again is no longer waited for.
_MOST_TURNS: Final = 2_000
#: The number of turns for an event loop that does not tell whether something is ready.
_BLIND_TURNS: Final = 100


async def turns(count: int) -> None:
    """Return after *count* turns of the event loop."""
    for _ in range(count):
        await next_turn()


async def turns_until_idle(most: int = _MOST_TURNS) -> None:
    """Return once nothing but the caller is ready, or after *most* turns."""
    if _ready() is None:
        most = min(most, _BLIND_TURNS)
    for _ in range(0, most, 2):
        await turns(2)  # the second turn polls for input that has arrived during the first
        if nothing_is_ready():
            return


def nothing_is_ready() -> bool:
    """Tell whether nothing but the caller is ready; False where the event loop does not tell."""
    ready = _ready()
    return ready is not None and not ready


def _ready() -> Sized | None:
    # asyncio's loops have a list of ready callbacks, and no public way to ask for it.
    return getattr(asyncio.get_running_loop(), "_ready", None)

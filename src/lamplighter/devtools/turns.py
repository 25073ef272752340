"""Letting the event loop do what is ready, and nothing that needs time."""

import asyncio
from typing import Final

from lamplighter.clock import next_turn

__all__ = ["turns", "turns_until_idle"]

#: What is ready again after so many turns is so for ever.
_MOST_TURNS: Final = 1_000
#: An event loop that does not tell whether it has more to do turns so often.
_BLIND_TURNS: Final = 100


async def turns(count: int) -> None:
    """Let the event loop turn *count* times."""
    for _ in range(count):
        await next_turn()


async def turns_until_idle() -> None:
    """Let the event loop turn until nothing is ready but the caller."""
    # asyncio's loops have the list of what is ready; nothing that is public tells of it.
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    if ready is None:
        await turns(_BLIND_TURNS)
        return
    for _ in range(_MOST_TURNS):
        await turns(2)  # the second looks at what has come from outside during the first
        if not ready:
            return

"""Letting the event loop do what is ready, and nothing that needs time."""

from lamplighter.clock import next_turn

__all__ = ["turns"]


async def turns(count: int) -> None:
    """Let the event loop turn *count* times."""
    for _ in range(count):
        await next_turn()

"""Letting the event loop do what is ready, and nothing that needs time."""

import asyncio

__all__ = ["turns"]


async def turns(count: int) -> None:
    """Let the event loop turn *count* times."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn

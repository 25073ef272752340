"""Waiting for time to pass."""

from datetime import timedelta
from typing import Final

from lamplighter.clock import SystemClock, sleep

__all__ = ["pause"]

_CLOCK: Final = SystemClock()


async def pause(seconds: float) -> None:
    """Return after so many *seconds*; at once if that is in the past."""
    if seconds > 0:
        await sleep(_CLOCK, timedelta(seconds=seconds))

"""Real time: instants, pauses, and how late this machine is.

Promises of the cluster are in seconds. A machine that does too much else is late by itself, so the
oracle allows for so much more time as the clients have just been late.
"""

from collections import deque
from datetime import timedelta
from typing import Final

from lamplighter.clock import SystemClock, sleep

__all__ = ["Lateness", "instant", "pause"]

_clock: Final = SystemClock()
_EVERY: Final = 0.1
#: The longest that lateness counts, in beats.
_KEPT: Final = 300


def instant() -> float:
    """Return the time in seconds."""
    return _clock.now() / 1000


async def pause(seconds: float) -> None:
    """Return after so many real seconds: a client's pause, or how long a fault lasts."""
    await sleep(_clock, timedelta(seconds=seconds))


class Lateness:
    """How late this process has been in the last half minute."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=_KEPT)

    @property
    def seconds(self) -> float:
        """The longest time by which a pause was too long."""
        return max(self._late, default=0.0)

    async def measure(self) -> None:
        """Measure for ever."""
        while True:
            began = instant()
            await pause(_EVERY)
            self._late.append(max(0.0, instant() - began - _EVERY))

"""Python's own clock, moved to a simulated time: `datetime.now()`, `time.time()`, `date.today()`.

The machine stands in UTC meanwhile. What measures durations, `time.monotonic`, stays as it is.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import time_machine

from lamplighter.clock import Timestamp

__all__ = ["python_clock_at"]

_ZONE: Final = "TZ"


@contextmanager
def python_clock_at(now: Timestamp) -> Iterator[Callable[[Timestamp], None]]:
    """Let Python's clock stand at *now* until the block ends; what is given moves it."""
    with _in_utc(), time_machine.travel(_instant(now), tick=False) as traveller:
        yield lambda then: traveller.move_to(_instant(then))


@contextmanager
def _in_utc() -> Iterator[None]:
    before = os.environ.get(_ZONE)
    os.environ[_ZONE] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop(_ZONE)
        if before is not None:
            os.environ[_ZONE] = before
        time.tzset()


def _instant(now: Timestamp) -> datetime:
    return datetime.fromtimestamp(now / 1000, UTC)

"""Python's own clock, set to a simulated time: `datetime.now()`, `time.time()`, `date.today()`.

The local time zone is UTC meanwhile. `time.monotonic`, which measures durations, is not simulated.
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
    """Stop Python's clock at *now* until the block ends; the yielded function sets it anew."""
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

"""Rate limits: token buckets, in bounded memory."""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock
from lamplighter.config import Rate
from lamplighter.errors import LimitExceeded

__all__ = ["Limiter", "RateLimiter", "limiter"]

#: Beyond this many half-empty buckets the least recently used one is forgotten.
MAX_KEYS: Final = 100_000


class Limiter:
    """A rate limit; this one admits every use."""

    def take(self, key: Hashable, amount: int = 1) -> None:
        """Count *amount* uses by *key*; raise `LimitExceeded`, and count none, if too many."""

    def allows(self, key: Hashable) -> bool:
        """Do as `take` does, and return False where it raises."""
        try:
            self.take(key)
        except LimitExceeded:
            return False
        return True


class RateLimiter(Limiter):
    """Admits *burst* uses of each key at once, and *per_second* uses in the long run.

    A bucket is stored as the instant at which it will be full again, and a full one not at all. A
    refused use costs nothing.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Clock, *, max_keys: int = MAX_KEYS
    ) -> None:
        self._interval = 1000 / per_second
        self._capacity = burst * self._interval
        self._clock = clock
        self._max_keys = max_keys
        #: In the order of the last use.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable, amount: int = 1) -> None:
        """Count *amount* uses by *key*, or a burst if that is less; raise `LimitExceeded`."""
        now = self._clock.now()
        self._forget(now)
        # The clock may have been set back: no key owes more than a whole bucket.
        owed = min(max(self._full_at.get(key, now) - now, 0), self._capacity)
        asked = min(amount * self._interval, self._capacity)
        too_much = owed + asked - self._capacity
        if too_much > 0:
            raise LimitExceeded(timedelta(milliseconds=-(-too_much // 1)))
        self._full_at[key] = now + owed + asked
        self._full_at.move_to_end(key)

    def __len__(self) -> int:
        """Return how many buckets are stored."""
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        while self._full_at:
            key, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) < self._max_keys:
                return
            del self._full_at[key]


def limiter(rate: Rate | None, clock: Clock) -> Limiter:
    """Return what limits every key to *rate*; None is no limit."""
    return Limiter() if rate is None else RateLimiter(rate.per_second, rate.burst, clock)

"""Places for expensive reads: each user has a few, and a few requests may wait for one."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from lamplighter.errors import LimitExceeded
from lamplighter.ids import UserId

__all__ = ["AT_A_TIME", "MOST_WAITING", "Places"]

#: How many expensive reads of one user are made and sent at a time.
AT_A_TIME: Final = 2
#: How many more may wait for a place.
MOST_WAITING: Final = 30
#: When a client that was refused may ask again.
_PAUSE: Final = timedelta(seconds=1)


class _Queue:
    """The expensive reads of one user."""

    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Places:
    """Limits each user to `AT_A_TIME` expensive reads; the next ones wait in their order."""

    def __init__(self) -> None:
        self._queues: dict[UserId, _Queue] = {}

    def __len__(self) -> int:
        """Return how many users have such reads."""
        return len(self._queues)

    async def take(self, user_id: UserId) -> Callable[[], None]:
        """Return once there is a place; what is returned gives it back, once.

        Raises `LimitExceeded` where too many wait for one already.
        """
        queue = self._queues.setdefault(user_id, _Queue())
        if queue.taken < AT_A_TIME:
            queue.taken += 1
        elif len(queue.waiting) >= MOST_WAITING:
            raise LimitExceeded(_PAUSE)
        else:
            await self._wait(user_id, queue)
        is_held = True

        def leave() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                self._leave(user_id, queue)

        return leave

    async def _wait(self, user_id: UserId, queue: _Queue) -> None:
        given: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.waiting.append(given)
        try:
            await given  # the request that leaves hands its place over
        except asyncio.CancelledError:
            if given.cancelled():
                queue.waiting.remove(given)
            else:
                self._leave(user_id, queue)
            raise

    def _leave(self, user_id: UserId, queue: _Queue) -> None:
        for given in queue.waiting:
            if not given.done():
                queue.waiting.remove(given)
                given.set_result(None)
                return
        queue.taken -= 1
        if not queue.taken:
            del self._queues[user_id]

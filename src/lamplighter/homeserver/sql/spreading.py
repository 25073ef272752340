"""How written news reach every node, in the order of the writes.

The ledger hands its news to a `Spread`, and waits until they have come back. Whoever is the faster
to tell, each node hears news in the order of their numbers: news that come early are kept until
those before them have come.

A write is stored before it is told. If it is not heard in time, its request fails with `Untold`.
Its news are stored, too, and some node tells them later (`untold.py`). So the same news can come
twice. A node hears them once.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, within
from lamplighter.errors import ClusterUnavailable, Untold
from lamplighter.homeserver.sql.news import Written
from lamplighter.ports import Spread

__all__ = ["Spreading"]

#: For how long a request waits for its own news.
_LONGEST: Final = timedelta(seconds=2)
#: News that came early and are kept; those beyond are told again later.
_MOST_EARLY: Final = 1_000


class Spreading:
    """Tells news to every node, and puts what it hears in order."""

    def __init__(self, spread: Spread, clock: Clock, heard: int) -> None:
        """Everything up to the position *heard* is known."""
        self._spread = spread
        self._clock = clock
        #: The position up to which this node has heard everything that was written.
        self.heard = heard
        #: News that came early, by the position before them.
        self._early: dict[int, Written] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def tell(self, position: int, payload: bytes) -> None:
        """Tell the news of the write up to *position*; return once this node has heard them.

        Raises `Untold` if that takes too long.
        """
        try:
            await within(self._clock, _LONGEST, self._tell(position, payload))
        except (ClusterUnavailable, TimeoutError) as error:
            raise Untold("The other nodes could not be told in time") from error

    async def tell_unstored(self, payload: bytes) -> None:
        """Tell news that are not stored; raise `ClusterUnavailable` if that takes too long."""
        try:
            await within(self._clock, _LONGEST, self._spread(payload))
        except TimeoutError:
            raise ClusterUnavailable("The other nodes could not be told in time") from None

    async def repeat(self, payload: bytes) -> None:
        """Tell news that were stored and not heard; raise `ClusterUnavailable`."""
        await self._spread(payload)

    async def reach(self, position: int) -> None:
        """Return once this node has heard everything up to *position*; raise `Untold`."""
        if self.heard >= position:
            return
        try:
            await within(self._clock, _LONGEST, self._reached(position))
        except TimeoutError:
            raise Untold("The other nodes have not told their writes in time") from None

    def in_order(self, news: Written) -> Iterator[Written]:
        """Take in *news*, and yield those that are to be heard now; none that were heard before."""
        is_next = news.before == self.heard
        if is_next or (news.position > self.heard and len(self._early) < _MOST_EARLY):
            self._early[news.before] = news
        while (following := self._early.pop(self.heard, None)) is not None:
            self.heard = following.position
            yield following
        waiting, self._waiting = self._waiting, []
        for position, reached in waiting:
            if reached.done():
                continue
            if position <= self.heard:
                reached.set_result(None)
            else:
                self._waiting.append((position, reached))

    async def _tell(self, position: int, payload: bytes) -> None:
        await self._spread(payload)
        await self._reached(position)

    async def _reached(self, position: int) -> None:
        if self.heard < position:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((position, reached))
            await reached

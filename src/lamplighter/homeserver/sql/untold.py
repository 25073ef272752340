"""What is written and not told: a node that dies between its commit and its telling loses nothing.

On many nodes, news are stored with the write that they are of. Each node looks every second whether
something is stored that it has not heard, although it was stored when the node looked before. Its
writer has had a second to tell it, and may be dead: the node tells it in the writer's place. If
several nodes do so, or the writer was only slow, the news are heard once all the same.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from lamplighter.clock import Clock, milliseconds
from lamplighter.database.adapter import Statement
from lamplighter.database.engine import Database
from lamplighter.errors import ClusterUnavailable, StorageUnavailable
from lamplighter.homeserver.sql.spreading import Spreading

__all__ = ["UntoldNews"]

#: How long news are kept. A node that is further behind starts anew.
_KEPT: Final = timedelta(minutes=10)
_CLEARED_EVERY: Final = timedelta(minutes=1)
#: News that are told at a time.
_AT_A_TIME: Final = 100

_AFTER: Final = "SELECT payload FROM news WHERE position > $1 ORDER BY position"
_STORED: Final = Statement("SELECT position FROM stream")
_UNTOLD: Final = """
SELECT position, payload FROM news WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
"""
_CLEAR: Final = "DELETE FROM news WHERE position <= $1 AND written_ts < $2"


class UntoldNews:
    """Tells what other nodes have written and not told."""

    def __init__(self, database: Database, clock: Clock, nodes: Spreading) -> None:
        self._database = database
        self._clock = clock
        self._nodes = nodes
        #: What was stored when this node looked before.
        self._stored = nodes.heard
        self._cleared_at = clock.now()

    async def look(self) -> None:
        """Tell what was stored before the last call, and is unheard; called every second.

        Does nothing while the database or the stream cannot be reached.
        """
        try:
            await self._clear()
            await self._tell()
        except (ClusterUnavailable, StorageUnavailable):
            pass  # the next call finds the same

    async def unheard(self) -> Sequence[bytes]:
        """Return all that is stored and unheard, in its order; raise `StorageUnavailable`."""
        return await self._after(self._nodes.heard)

    async def kept(self) -> Sequence[bytes]:
        """Return all that is stored, told or not, in its order; raise `StorageUnavailable`."""
        return await self._after(0)  # each write has a position from 1 on

    async def _after(self, position: int) -> Sequence[bytes]:
        rows = await self._database.fetch(Statement(_AFTER, (position,)))
        return [payload for (payload,) in rows]

    async def _tell(self) -> None:
        heard = self._nodes.heard
        if self._stored > heard:
            between = (heard, self._stored, _AT_A_TIME)
            for position, payload in await self._database.fetch(Statement(_UNTOLD, between)):
                # When one has come back, so have all that were told before: perhaps this one, too.
                if position > self._nodes.heard:
                    await self._nodes.repeat(payload)
        [(self._stored,)] = await self._database.fetch(_STORED)

    async def _clear(self) -> None:
        now = self._clock.now()
        if now - self._cleared_at >= milliseconds(_CLEARED_EVERY):
            self._cleared_at = now
            old = now - milliseconds(_KEPT)
            await self._database.commit(Statement(_CLEAR, (self._nodes.heard, old)))

"""What a node has still to tell its viewers of, because modules think.

The nodes of a cluster ask the modules each for itself whom a join shows, and whom a leave hides. So
they are done at different positions. An example:

    7   bob joins alice's room; node a asks the modules
    9   charlie sets a status: alice hears of it at node a, and gets a token
    a's modules answer: alice hears of bob at node a, if she is still there

Node b has shown bob to its own viewers at 7, or to nobody. It must not take alice's token for one
that has heard of bob. So the token says two positions: 9, for node a, and 6, from which any other
node tells everything anew.
"""

import asyncio
from collections.abc import Set as AbstractSet

from lamplighter.ids import StreamPosition, UserId

__all__ = ["Unsettled"]


class Unsettled:
    """The work that has not told yet what has happened, with whom it may concern."""

    def __init__(self) -> None:
        #: Each piece of work, with what it tells of. Every answer looks first whether there is any.
        self.under_way: dict[asyncio.Task[None], tuple[StreamPosition, AbstractSet[UserId]]] = {}

    def until_done(
        self, work: "asyncio.Task[None]", viewers: AbstractSet[UserId], position: StreamPosition
    ) -> None:
        """Note that *work* tells *viewers*, or some of them, what has happened at *position*."""
        self.under_way[work] = (position, viewers)
        work.add_done_callback(self.under_way.pop)

    def told_until(self, viewer: UserId, position: StreamPosition) -> StreamPosition:
        """Return up to where a viewer with an answer of *position* was told everything."""
        for happened, viewers in self.under_way.values():
            if happened <= position and viewer in viewers:
                position = StreamPosition(happened - 1)
        return position

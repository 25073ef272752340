"""The other servers to which this node sends: those in the partitions that it owns.

What waits to be sent is in the memory of the node that sends. When another node takes its place,
because it has died, was cut off, or gives the partition away, nobody knows what had not arrived
yet. So a server with a new sender is sent, as after a restart, the present states of our users of
whom it may have missed something; and the last sender, if it lives, sends nothing more.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final

import structlog

from lamplighter.clock import Clock, milliseconds
from lamplighter.cluster.log import PartitionId
from lamplighter.cluster.partitions import ALL_PARTITIONS, partition_of
from lamplighter.cluster.stream import Stream
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import ServerName, UserId, server_of
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.background import Background
from lamplighter.service.remotes import Remotes
from lamplighter.service.roster import Roster

__all__ = ["Destinations"]

_log = structlog.get_logger(__name__)

#: The modules are asked about so many users at once.
_AT_ONCE: Final = 100


@dataclass(eq=False)
class Destinations:
    """Begins and ceases to send to the servers of a partition."""

    clock: Clock
    stream: Stream
    router: ModuleRouter
    roster: Roster
    remotes: Remotes
    background: Background
    #: Other servers take a user of whom they hear nothing for so long to be offline.
    remembered: timedelta
    #: The partitions whose servers have yet to be sent what they may have missed.
    _taken: set[PartitionId] = field(init=False, default_factory=set)
    _is_beginning: bool = field(init=False, default=False)

    def take(self, partitions: AbstractSet[PartitionId]) -> None:
        """Send to the servers of *partitions* from now on.

        What they may have missed is one question to the modules for all that is taken in one cycle
        of the event loop, and one for all that is taken while that is answered.
        """
        if partitions and self.remotes.outgoing.reaches_others:
            self._taken |= partitions
            if not self._is_beginning:
                self._is_beginning = True
                self.background.run(self._begin_all())

    def hand_over(self, partitions: AbstractSet[PartitionId] = ALL_PARTITIONS) -> None:
        """Send nothing more to the servers of *partitions*: another node does."""
        self._taken -= partitions
        self.remotes.outgoing.cease(_in(partitions))

    def heard_from(self, server_name: ServerName) -> None:
        """A server to which this node sends has sent a request to another node."""
        self.remotes.outgoing.heard_from(server_name)

    async def _begin_all(self) -> None:
        try:
            while self._taken:
                taken, self._taken = self._taken, set()
                await self._begin(_in(taken))
        finally:
            self._is_beginning = False

    async def _begin(self, is_ours: Callable[[ServerName], bool]) -> None:
        try:
            await self.remotes.outgoing.take_over(is_ours)
        except StorageUnavailable as problem:
            _log.warning("it is unknown which servers did not answer", problem=str(problem))
        for users in self._perhaps_missed():
            about, states = self.stream.position, [self.roster.get(it) for it in users]
            routes = await self.router.routes(states)
            self.remotes.send_again(states, routes, about, is_ours)

    def _perhaps_missed(self) -> Iterator[Sequence[UserId]]:
        since = self.clock.now() - milliseconds(self.remembered)
        ours = (
            UserId(it.user_id)
            for it in self.roster.known()
            if it.last_federation_update_ts > since
            and server_of(UserId(it.user_id)) == self.remotes.server_name
        )
        while users := list(islice(ours, _AT_ONCE)):
            yield users


def _in(partitions: AbstractSet[PartitionId]) -> Callable[[ServerName], bool]:
    now = frozenset(partitions)
    return lambda server_name: partition_of(server_name) in now

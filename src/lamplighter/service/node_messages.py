"""What a node says to other nodes: many messages at once, and to each node in their order."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lamplighter.cluster.log import Lease, Log
from lamplighter.cluster.wire import NodeMessage, encode_message
from lamplighter.errors import ClusterUnavailable
from lamplighter.service.background import Background

__all__ = ["NodeMessages"]


@dataclass(eq=False)
class NodeMessages:
    """The messages that are about to be said, from `begin` until `end`."""

    log: Log
    background: Background
    #: Learns of a node that it does not hear this one, or not any more.
    unheard: Callable[[Lease], None] = field(init=False, default=lambda _to: None)
    _lease: Lease | None = field(init=False, default=None)
    #: By the node to which they are said. There is an entry while `_deliver` runs for a node.
    _gathered: dict[Lease, list[bytes]] = field(init=False, default_factory=dict)

    def begin(self, lease: Lease) -> None:
        """Say what is sent from now on, with *lease*."""
        self._lease = lease

    def end(self) -> None:
        """Say nothing any more; what is not said yet is lost."""
        self._lease = None
        self._gathered.clear()

    def send(self, to: Lease, message: NodeMessage) -> None:
        """Say *message* to a node, after all that was sent to it before."""
        if self._lease is None:
            return
        gathered = self._gathered.get(to)
        if gathered is None:
            self._gathered[to] = [encode_message(message)]
            self.background.run(self._deliver(self._lease, to))
        else:
            gathered.append(encode_message(message))

    async def _deliver(self, lease: Lease, to: Lease) -> None:
        """Say what is gathered for one node, and what is gathered meanwhile."""
        try:
            while self._lease == lease and (messages := self._gathered[to]):
                self._gathered[to] = []
                if not await self._is_heard(lease, to, messages) and self._lease == lease:
                    self.unheard(to)
                    return
        finally:
            if self._lease == lease:  # else what is gathered is another task's
                del self._gathered[to]

    async def _is_heard(self, lease: Lease, to: Lease, messages: list[bytes]) -> bool:
        try:
            return await self.log.say(lease, to, messages)
        except ClusterUnavailable:
            return False

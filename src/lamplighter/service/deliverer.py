"""Delivers on this node: puts states into outboxes, and shows that to the witnesses."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamplighter.cluster.stream import Stream
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition
from lamplighter.metrics import Metrics
from lamplighter.routing.plan import Delivery
from lamplighter.service.witness import Published, Witness

__all__ = ["Deliverer"]


@dataclass(eq=False)
class Deliverer:
    """Puts planned deliveries into the outboxes of this node's viewers."""

    stream: Stream
    feed: Feed
    metrics: Metrics
    witness: Witness

    def advance(self) -> StreamPosition:
        """Return a new position of this node, at which nothing was delivered yet."""
        position = self.stream.advance()
        self.feed.advance_to(position)
        return position

    def deliver(self, published: Published, about: StreamPosition) -> None:
        """Deliver what was true at the position *about*."""
        self.metrics.delivered(self.feed.deliver(published.deliveries, published.position, about))
        self.witness.published(published)

    def deliver_here(self, deliveries: Sequence[Delivery], about: StreamPosition) -> None:
        """Deliver, at a new position of this node, to users who have become visible or viewers."""
        self.deliver(Published(self.advance(), (), deliveries), about)

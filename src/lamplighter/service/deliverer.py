"""Delivers on this node: puts states into outboxes, and shows that to the witnesses."""

from collections.abc import Sequence

from lamplighter.cluster.stream import Stream
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition
from lamplighter.metrics import Metrics
from lamplighter.routing.plan import Telling
from lamplighter.service.witness import Published, Witness

__all__ = ["Deliverer"]


class Deliverer:
    """Hands what was planned to the outboxes of this node's viewers."""

    def __init__(self, stream: Stream, feed: Feed, metrics: Metrics, witness: Witness) -> None:
        self._stream = stream
        self._feed = feed
        self._metrics = metrics
        self._witness = witness

    def advance(self) -> StreamPosition:
        """Return a new position of this node, at which nothing was delivered yet."""
        position = self._stream.advance()
        self._feed.advance_to(position)
        return position

    def deliver(self, published: Published, about: StreamPosition) -> None:
        """Deliver what was true at the position *about*."""
        self._metrics.delivered(self._feed.deliver(published.tellings, published.position, about))
        self._witness.published(published)

    def deliver_here(self, tellings: Sequence[Telling], about: StreamPosition) -> None:
        """Deliver, at a new position of this node, to users who have become visible or viewers."""
        self.deliver(Published(self.advance(), (), tellings), about)

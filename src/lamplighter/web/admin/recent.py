"""The batches that were published last, in bounded memory, for an operator who opens the page."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lamplighter.service.witness import Published

__all__ = ["RecentBatches"]

#: How many batches are remembered, and how many recipients in all of them together.
_MOST_BATCHES: Final = 200
_MOST_RECIPIENTS: Final = 20_000

Observe = Callable[[Callable[[Published], None]], Callable[[], None]]


class RecentBatches:
    """The newest batches that *observe* reports."""

    def __init__(self, observe: Observe) -> None:
        self._batches: deque[tuple[Published, int]] = deque()
        self._recipients = 0
        observe(self._see)

    def newest_first(self) -> Sequence[Published]:
        """Return the batches, without the questions put to the modules about them."""
        return [published for published, _ in reversed(self._batches)]

    def _see(self, published: Published) -> None:
        size = sum(len(delivery.recipients) for delivery in published.deliveries)
        # What the modules were asked is large, and nobody asks for it here.
        self._batches.append((replace(published, asked=(), routes={}), size))
        self._recipients += size
        while len(self._batches) > _MOST_BATCHES or (
            self._recipients > _MOST_RECIPIENTS and len(self._batches) > 1
        ):
            _, gone = self._batches.popleft()
            self._recipients -= gone

"""The stream: entries in one order, each with its position, handed to one consumer.

Whoever has something to say appends an entry and goes on. The consumer is handed each entry with
its position, in order, and does everything that follows from it on this node. So what a node holds
follows from the entries alone, and a stream between many nodes needs nothing but another `Stream`.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from lamplighter.cluster.entries import Entry
from lamplighter.ids import StreamPosition

__all__ = ["Consumer", "Stream", "Then"]

Consumer: TypeAlias = Callable[[StreamPosition, Entry], None]
Then: TypeAlias = Callable[[StreamPosition], None]


class Stream(Protocol):
    """The stream of one server, as one node has it."""

    @property
    def position(self) -> StreamPosition:
        """The newest position that was given, to an entry or by `advance`."""

    def hand_to(self, consumer: Consumer) -> None:
        """Hand every entry from now on to *consumer*: once, before anything is appended.

        The consumer does not append, does not await, and does not raise.
        """

    def append(self, entry: Entry, then: Then | None = None) -> None:
        """Append *entry*; call *then* with its position once this node's consumer had it."""

    def advance(self) -> StreamPosition:
        """Return a position of this node alone, after every entry that the consumer had.

        At it the node notes what concerns its own viewers only. Nothing enters the stream.
        """

"""The stream: entries in one order, each with its position, handed to one consumer.

Whoever has something to say appends an entry and goes on. The consumer is handed each entry with
its position, in order, and does everything that follows from it on this node. So what a node holds
follows from the entries alone, and a stream between many nodes needs nothing but another `Stream`.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from lamplighter.cluster.entries import Entry
from lamplighter.errors import ClusterUnavailable
from lamplighter.ids import StreamPosition

__all__ = ["Consumer", "Lost", "Stream", "Then"]

Consumer: TypeAlias = Callable[[StreamPosition, Entry], None]
Then: TypeAlias = Callable[[StreamPosition], None]
Lost: TypeAlias = Callable[[ClusterUnavailable], None]


class Stream(Protocol):
    """The stream of one server, as one node has it."""

    @property
    def position(self) -> StreamPosition:
        """The newest position that was given, to an entry or by `advance`."""

    def hand_to(self, consumer: Consumer) -> None:
        """Hand every entry from now on to *consumer*: once, before anything is appended.

        The consumer does not append, does not await, and does not raise.
        """

    def append(self, entry: Entry, then: Then | None = None, lost: Lost | None = None) -> None:
        """Append *entry*; call *then* with its position once this node's consumer had it.

        If the entry does not come to this node's consumer as its own, *lost* is called instead: the
        node may not write, or it is unknown whether the entry is written. On a single node nothing
        is lost.
        """

    @property
    def unsure(self) -> range:
        """The positions at which something may have been told that a crash has undone."""

    @property
    def is_current(self) -> bool:
        """Whether the consumer has had every entry that there is: always on a single node."""

    @property
    def is_fresh(self) -> bool:
        """Whether the consumer has had, some milliseconds ago, every entry that there was then."""

    async def catch_up(self) -> None:
        """Return once the consumer has had every entry that was appended anywhere before the call.

        Raises `ClusterUnavailable` if this node cannot find that out in time.
        """

    def advance(self) -> StreamPosition:
        """Return a position of this node alone, after every entry that the consumer had.

        At it the node notes what concerns its own viewers only. Nothing enters the stream.
        """

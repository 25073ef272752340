"""The consumer of the stream: hands each entry to the part that handles it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import structlog

from lamplighter.cluster.entries import Entry
from lamplighter.delivery.feed import Feed
from lamplighter.ids import StreamPosition

__all__ = ["Handler", "StreamConsumer"]

_log = structlog.get_logger(__name__)

#: Handles entries of one kind; it neither awaits nor appends.
Handler: TypeAlias = Callable[[StreamPosition, Any], None]


class StreamConsumer:
    """Handles the entries of the stream, in their order."""

    def __init__(self, feed: Feed, handlers: Mapping[type[Entry], Handler]) -> None:
        self._feed = feed
        self._handlers = handlers

    def __call__(self, position: StreamPosition, entry: Entry) -> None:
        self._feed.advance_to(position)
        try:
            self._handlers[type(entry)](position, entry)
        except Exception:  # noqa: BLE001 - whatever it is, the entries after it are not lost
            _log.exception("publishing failed")

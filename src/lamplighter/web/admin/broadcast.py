"""Published batches as server-sent events, for all listeners of the admin API.

A published batch costs the publisher one `append`. A task turns batches into events, once for all
listeners, and there is no task while nobody listens. Memory is bounded: a listener that does not
read fast enough loses the oldest events, and gets an event with the number of lost ones.

Implements <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lamplighter.clock import Clock, Timer, after, next_turn
from lamplighter.errors import LimitExceeded
from lamplighter.service.census import Census
from lamplighter.service.room_names import RoomNames
from lamplighter.service.witness import Published
from lamplighter.web.admin.event_content import FiguresEvent, LostEvent, named_batch
from lamplighter.web.admin.operations import Operation

__all__ = ["AdminEvents", "Broadcast", "Listening", "Observe"]

#: The greatest number of listeners.
_MOST_LISTENERS: Final = 16
#: How many events may wait for one listener, and how many batches may wait to become events.
_MOST_WAITING: Final = 128
#: The time between two events with figures.
_PERIOD: Final = timedelta(seconds=1)

Observe = Callable[[Callable[[Published], None]], Callable[[], None]]


class Listening:
    """The events for one listener."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._lost = 0
        self._news = asyncio.Event()
        self._is_over = False

    def put(self, event: bytes) -> None:
        """Add *event*. If too many wait, the oldest is lost."""
        if len(self._events) >= _MOST_WAITING:
            self._events.popleft()
            self.miss()
        self._events.append(event)
        self._news.set()

    def miss(self) -> None:
        """Count an event that the listener has lost."""
        self._lost += 1

    def end(self) -> None:
        """End the stream after the events that wait."""
        self._is_over = True
        self._news.set()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the events as they come, encoded."""
        while True:
            while self._events:
                if self._lost:
                    lost, self._lost = self._lost, 0
                    yield _event("lost", LostEvent(lost))
                yield self._events.popleft()
            if self._is_over:
                return
            self._news.clear()
            await self._news.wait()


class Broadcast:
    """Turns the batches that *observe* reports into events, while there are listeners."""

    def __init__(
        self, observe: Observe, census: Census, room_names: RoomNames, clock: Clock
    ) -> None:
        self._observe = observe
        self._census = census
        self._room_names = room_names
        self._clock = clock
        self._listeners: set[Listening] = set()
        self._published: deque[Published] = deque()
        self._work: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._timer: Timer | None = None
        self._stop_observing: Callable[[], None] | None = None
        self._is_closed = False

    def listen(self) -> Listening:
        """Return the events for a new listener, which begin with the figures.

        The caller must call `leave` at the end. Raises `LimitExceeded` if there are too many
        listeners.
        """
        if len(self._listeners) >= _MOST_LISTENERS:
            raise LimitExceeded(timedelta(seconds=5))
        listening = Listening()
        listening.put(self._figures())
        if self._is_closed:
            listening.end()
            return listening
        self._listeners.add(listening)
        if len(self._listeners) == 1:
            self._stop_observing = self._observe(self._see)
            self._work = asyncio.get_running_loop().create_task(self._send_batches())
            self._set_timer()
        return listening

    def leave(self, listening: Listening) -> None:
        """Remove a listener."""
        self._listeners.discard(listening)
        if not self._listeners:
            self._end()

    def close(self) -> None:
        """End all streams. A stream that begins later ends after the figures."""
        self._is_closed = True
        for listening in self._listeners:
            listening.end()
        self._listeners.clear()
        self._end()

    def _end(self) -> None:
        if self._stop_observing is not None:
            self._stop_observing()
        self._published.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        self._stop_observing = self._timer = self._work = None

    def _see(self, published: Published) -> None:
        if len(self._published) >= _MOST_WAITING:
            self._published.popleft()
            for listening in self._listeners:
                listening.miss()
        self._published.append(published)
        self._news.set()

    def _set_timer(self) -> None:
        self._timer = self._clock.call_at(after(self._clock.now(), _PERIOD), self._tick)

    def _tick(self) -> None:
        self._send(self._figures())
        self._set_timer()

    async def _send_batches(self) -> None:
        while True:
            self._news.clear()
            while self._published:
                batch = await named_batch(self._published.popleft(), self._room_names)
                self._send(_event("batch", batch))
                await next_turn()  # many batches at once must not delay other requests
            await self._news.wait()

    def _figures(self) -> bytes:
        figures = msgspec.convert(self._census.take(), FiguresEvent, from_attributes=True)
        return _event("figures", figures)

    def _send(self, event: bytes) -> None:
        for listening in self._listeners:
            listening.put(event)


class AdminEvents:
    """Streams to operators which states are delivered to whom."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/events",
                "Stream the published batches, as events `batch`, `figures` (once a second) and "
                "`lost`; the data of each is JSON.",
                self.stream,
                None,
                media_type="text/event-stream",
            )
        ]

    async def stream(self, _request: Request) -> Response:
        """Begin a stream, which ends when the client leaves or the server stops."""
        return _EventStream(self._broadcast)


class _EventStream(StreamingResponse):
    """Sends the events of *broadcast* until the client leaves, or the server stops."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._listening = broadcast.listen()
        # A proxy between the server and the operator must not collect events before it sends them.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self._listening.events(), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._broadcast.leave(self._listening)


def _event(name: str, content: msgspec.Struct) -> bytes:
    # Encoded JSON has no line breaks, so the data is one line.
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))

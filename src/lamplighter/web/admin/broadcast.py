"""What is published, as server-sent events, to everybody who listens; nothing while nobody does.

On the way of a batch stands one `append`; everything else is done by a task, once for all
listeners. Who does not keep up loses events, and is told how many.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Final

import msgspec

from lamplighter.clock import Clock, Timer, after, next_turn
from lamplighter.errors import LimitExceeded
from lamplighter.service.census import Census
from lamplighter.service.room_names import RoomNames
from lamplighter.service.witness import Published
from lamplighter.web.admin.event_content import LostEvent, figures_event, named_batch

__all__ = ["Broadcast", "Listening"]

#: How many may listen at once.
_MOST_LISTENERS: Final = 16
#: How many events may wait for a listener, and how many batches to become events.
_MOST_WAITING: Final = 128
#: How often figures are told.
_PERIOD: Final = timedelta(seconds=1)

Observe = Callable[[Callable[[Published], None]], Callable[[], None]]


class Listening:
    """One listener's events, until it leaves."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._lost = 0
        self._news = asyncio.Event()
        self._is_over = False

    def put(self, event: bytes) -> None:
        """Let the listener have *event*; for one that does not keep up the oldest is dropped."""
        if len(self._events) >= _MOST_WAITING:
            self._events.popleft()
            self.miss()
        self._events.append(event)
        self._news.set()

    def miss(self) -> None:
        """Let the listener know that there was an event which it will not get."""
        self._lost += 1

    def end(self) -> None:
        """Let the stream end after what waits."""
        self._is_over = True
        self._news.set()

    async def events(self) -> AsyncIterator[bytes]:
        """Give the events as they come, each as it goes over the wire."""
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
    """Turns what *observe* shows into events, while anybody listens."""

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
        self._stop_observing: Callable[[], None] = _nothing
        self._is_closed = False

    def listen(self) -> Listening:
        """Begin to listen, with the figures; raise `LimitExceeded` where too many do.

        Who has begun ends it with `leave`.
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
            self._begin()
        return listening

    def leave(self, listening: Listening) -> None:
        """Let somebody listen no longer."""
        self._listeners.discard(listening)
        if not self._listeners:
            self._end()

    def close(self) -> None:
        """End all streams, and let none last from now on."""
        self._is_closed = True
        for listening in self._listeners:
            listening.end()
        self._listeners.clear()
        self._end()

    def _begin(self) -> None:
        self._stop_observing = self._observe(self._see)
        self._work = asyncio.get_running_loop().create_task(self._tell())
        self._set_timer()

    def _end(self) -> None:
        self._stop_observing()
        self._stop_observing = _nothing
        self._published.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()
        self._timer = self._work = None

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

    async def _tell(self) -> None:
        while True:
            self._news.clear()
            while self._published:
                await self._tell_of(self._published.popleft())
                await next_turn()  # many batches at once shall hold nobody up
            await self._news.wait()

    async def _tell_of(self, published: Published) -> None:
        self._send(_event("batch", await named_batch(published, self._room_names)))

    def _figures(self) -> bytes:
        return _event("figures", figures_event(self._census.take()))

    def _send(self, event: bytes) -> None:
        for listening in self._listeners:
            listening.put(event)


def _event(name: str, content: msgspec.Struct) -> bytes:
    # JSON holds no line break, so one line of data is enough.
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))


def _nothing() -> None:
    """Nobody observes."""

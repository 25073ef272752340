"""The loop over the queues: what goes to other servers, when, and how many at a time.

One timer serves all destinations, and a destination has at most one request under way. One that
fails waits for its back-off; one that did not answer the last time goes through a narrow lane of
its own, so that slow servers wait for each other and nobody waits for them.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Final, Protocol
from urllib.parse import quote

import structlog

from lamplighter.clock import Clock, Timer, Timestamp
from lamplighter.errors import FederationError, StorageUnavailable
from lamplighter.federation.backoff import Backoff
from lamplighter.federation.edu import presence_edu
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.queue import DestinationQueue
from lamplighter.federation.transaction import Transaction, encode
from lamplighter.ids import ServerName, UserId
from lamplighter.ports import BackoffState, BackoffStore, Json
from lamplighter.presence.state import UserPresenceState

__all__ = ["DestinationStatus", "FederationSender", "Lane", "Requests", "SenderSettings"]

_log = structlog.get_logger(__name__)

_SEND: Final = "/_matrix/federation/v1/send/"


class Requests(Protocol):
    """What sends signed requests to other servers."""

    async def request(
        self, destination: ServerName, method: str, path: str, content: Mapping[str, object]
    ) -> Json:
        """Return the answer's content; raise `FederationError` where there is none to be had."""


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How much is done at once."""

    window: timedelta = timedelta(milliseconds=100)
    #: Requests under way to servers that answered the last time.
    lane: int = 400
    #: Requests under way to servers that did not.
    narrow_lane: int = 40
    #: Destinations that are remembered at once; beyond that new ones are not begun.
    destinations: int = 20_000


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """How another server is."""

    server_name: ServerName
    #: How many states it is still to be told.
    queued: int
    #: Whether a transaction is under way.
    is_busy: bool
    #: None while it answers.
    backoff: BackoffState | None


class Lane:
    """Lets *width* pieces of work be under way at once; the others wait in order."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._under_way = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, begin: Callable[[], None]) -> None:
        """Call *begin* as soon as there is room, perhaps at once."""
        self._waiting.append(begin)
        self._admit()

    def leave(self) -> None:
        """Make room."""
        self._under_way -= 1
        self._admit()

    def close(self) -> None:
        """Let nothing begin any more."""
        self._waiting.clear()
        self._width = 0

    def _admit(self) -> None:
        while self._waiting and self._under_way < self._width:
            self._under_way += 1
            self._waiting.popleft()()


@dataclass(slots=True)
class _Destination:
    queue: DestinationQueue
    #: When the heap will bring it up; None while it is not in there.
    wakes_at: Timestamp | None = None
    is_busy: bool = field(default=False)


class FederationSender:
    """Sends presence to other servers; it is an `Outgoing`."""

    def __init__(
        self,
        *,
        server_name: ServerName,
        clock: Clock,
        requests: Requests,
        policy: ServerPolicy,
        store: BackoffStore,
        random: Callable[[], float],
        settings: SenderSettings,
    ) -> None:
        """*random* returns a number from 0 up to, not including, 1."""
        self._server_name = server_name
        self._clock = clock
        self._requests = requests
        self._policy = policy
        self._store = store
        self._random = random
        self._settings = settings
        self._lane = Lane(settings.lane)
        self._narrow_lane = Lane(settings.narrow_lane)
        self._destinations: dict[ServerName, _Destination] = {}
        self._heap: list[tuple[Timestamp, ServerName]] = []
        self._timer: tuple[Timestamp, Timer] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Transaction IDs are never used twice, not after a restart either.
        self._txn_ids = (f"{clock.now()}.{number}" for number in count())

    @property
    def destinations(self) -> Mapping[ServerName, BackoffState | None]:
        """The servers that have something to be told, or failed last; and how they failed."""
        return {name: it.queue.backoff_state for name, it in self._destinations.items()}

    def statuses(self) -> list[DestinationStatus]:
        """Return how each of `destinations` is, in the order of their names."""
        found = sorted(self._destinations.items())
        return [
            DestinationStatus(name, len(it.queue), it.is_busy, it.queue.backoff_state)
            for name, it in found
        ]

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return len(self._tasks)

    async def start(self) -> None:
        """Continue the back-offs from before a restart."""
        now = self._clock.now()
        for server_name, state in (await self._store.load()).items():
            self._destination(server_name).queue.restore(state, now)

    async def stop(self) -> None:
        """Give up what is under way; what is not sent is told when next it changes."""
        if self._timer is not None:
            self._timer[1].cancel()
        for lane in (self._lane, self._narrow_lane):
            lane.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        if server_name == self._server_name or not self._policy.admits(server_name):
            return
        known = server_name in self._destinations
        if not known and len(self._destinations) >= self._settings.destinations:
            _log.warning("too many destinations; presence is not sent", destination=server_name)
            return
        destination = self._destination(server_name)
        destination.queue.put(states, self._clock.now())
        self._schedule(server_name, destination)

    def take_back(self) -> AbstractSet[UserId]:
        users = (destination.queue.take_back() for destination in self._destinations.values())
        return frozenset[UserId]().union(*users)

    def heard_from(self, server_name: ServerName) -> None:
        """A server has spoken to us: if it did not answer before, it is tried again soon."""
        destination = self._destinations.get(server_name)
        if destination is not None:
            destination.queue.heard(self._clock.now())
            self._schedule(server_name, destination)

    def _destination(self, server_name: ServerName) -> _Destination:
        destination = self._destinations.get(server_name)
        if destination is None:
            queue = DestinationQueue(Backoff(self._random), window=self._settings.window)
            destination = self._destinations[server_name] = _Destination(queue)
        return destination

    def _schedule(self, server_name: ServerName, destination: _Destination) -> None:
        due = destination.queue.next_due()
        if due is None or destination.is_busy:
            return
        if destination.wakes_at is None or due < destination.wakes_at:
            destination.wakes_at = due
            heapq.heappush(self._heap, (due, server_name))
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer[0] <= due:
                return
            self._timer[1].cancel()
        self._timer = (due, self._clock.call_at(due, self._wake))

    def _wake(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, server_name = heapq.heappop(self._heap)
            destination = self._destinations.get(server_name)
            if destination is not None and destination.wakes_at == due:
                destination.wakes_at = None
                self._begin(server_name, destination)
        if self._heap:
            self._set_timer()

    def _begin(self, server_name: ServerName, destination: _Destination) -> None:
        destination.is_busy = True
        lane = self._narrow_lane if destination.queue.backoff_state else self._lane

        def begin() -> None:
            work = self._transmit(server_name, destination, lane)
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        lane.enter(begin)

    async def _transmit(
        self, server_name: ServerName, destination: _Destination, lane: Lane
    ) -> None:
        queue = destination.queue
        before = queue.backoff_state
        try:
            states = queue.take(self._clock.now())
            if states:
                await self._put(server_name, states)
                queue.succeeded()
        except FederationError as failure:
            queue.failed(self._clock.now())
            _log.info("presence was not sent", destination=server_name, problem=str(failure))
        finally:
            lane.leave()
            destination.is_busy = False
            self._schedule(server_name, destination)
            if queue.is_idle:
                del self._destinations[server_name]
        if queue.backoff_state != before:
            await self._remember(server_name, queue.backoff_state)

    async def _put(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        now = self._clock.now()
        transaction = Transaction(self._server_name, now, [presence_edu(states, now)])
        path = _SEND + quote(next(self._txn_ids), safe="")
        await self._requests.request(server_name, "PUT", path, encode(transaction))

    async def _remember(self, server_name: ServerName, state: BackoffState | None) -> None:
        try:
            await self._store.save(server_name, state)
        except StorageUnavailable as problem:
            _log.debug("a back-off was not saved", destination=server_name, problem=str(problem))

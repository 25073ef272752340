"""Send presence to other servers: one queue for each destination, one timer for all.

**When.** Each destination has a `DestinationQueue`, which says when it has states to send. The
earliest of these instants sets the timer. A destination whose request failed is due again after its
back-off, which is stored, so that a restart does not forget it. A destination with an empty queue
and no back-off is removed.

**How many at once.** A destination has at most one request under way. Requests to destinations that
answered the last time go through a *lane* of 400; the others go through a narrow lane of 40. So
servers that are slow or down wait for each other, and no working server waits for them.

Example: 1,000 servers are due and 300 of them are down. The 700 working servers share the 400
places of the lane, which become free within milliseconds. The 300 others get 40 places, each of
which is occupied until a time-out of 30 seconds.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import count
from typing import Final
from urllib.parse import quote

import structlog

from lamplighter.clock import Clock, Timer, Timestamp
from lamplighter.deadlines import Deadlines
from lamplighter.errors import FederationError, StorageUnavailable
from lamplighter.federation.backoff import Backoff
from lamplighter.federation.edu import presence_edu
from lamplighter.federation.policy import ServerPolicy
from lamplighter.federation.queue import DestinationQueue
from lamplighter.federation.transaction import Transaction, encode_transaction
from lamplighter.ids import ServerName, UserId
from lamplighter.ports import BackoffStore, Json
from lamplighter.presence.state import UserPresenceState

__all__ = ["DestinationStatus", "FederationSender", "Lane", "SenderSettings"]

_log = structlog.get_logger(__name__)

_SEND: Final = "/_matrix/federation/v1/send/"


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """The limits of a sender."""

    #: The greatest number of requests under way to servers that answered the last time.
    lane: int = 400
    #: The same for servers that did not answer the last time.
    narrow_lane: int = 40
    #: The greatest number of destinations; beyond it, nothing is sent to a new one.
    destinations: int = 20_000


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """The condition of one destination."""

    server_name: ServerName
    #: How many states wait to be sent or are in flight.
    queued: int
    #: Whether a transaction is under way.
    is_busy: bool
    #: How often in a row requests have failed.
    failures: int
    #: When the back-off ends; None while the server answers.
    retry_ts: Timestamp | None


class Lane:
    """Allows *width* pieces of work at once; the others wait in order."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._under_way = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def enter(self, begin: Callable[[], None]) -> None:
        """Call *begin* as soon as a place is free, perhaps at once."""
        self._waiting.append(begin)
        self._admit()

    def leave(self) -> None:
        """Free a place."""
        self._under_way -= 1
        self._admit()

    def close(self) -> None:
        """Begin no more work."""
        self._waiting.clear()
        self._width = 0

    def _admit(self) -> None:
        while self._waiting and self._under_way < self._width:
            self._under_way += 1
            self._waiting.popleft()()


@dataclass(slots=True)
class _Destination:
    queue: DestinationQueue
    is_busy: bool = False
    #: The request that is under way.
    task: asyncio.Task[None] | None = None


class FederationSender:
    """Sends presence to other servers. It implements `Outgoing`."""

    def __init__(
        self,
        *,
        server_name: ServerName,
        clock: Clock,
        request: Callable[[ServerName, str, str, Json], Awaitable[Json]],
        policy: ServerPolicy,
        store: BackoffStore,
        random: Callable[[], float],
        settings: SenderSettings,
    ) -> None:
        """*request* is `FederationClient.request`. *random* returns a number in [0, 1)."""
        self._server_name = server_name
        self._clock = clock
        self._request = request
        self._policy = policy
        self._store = store
        self._random = random
        self._settings = settings
        self._lane = Lane(settings.lane)
        self._narrow_lane = Lane(settings.narrow_lane)
        self._destinations: dict[ServerName, _Destination] = {}
        self._deadlines: Deadlines[ServerName] = Deadlines()
        self._timer: tuple[Timestamp, Timer] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # The time makes transaction IDs unique across restarts.
        self._txn_ids = (f"{clock.now()}.{number}" for number in count())

    def statuses(self) -> list[DestinationStatus]:
        """Return the condition of each destination, in the order of their names."""
        return [
            DestinationStatus(
                name,
                len(it.queue),
                it.is_busy,
                backoff.failures if (backoff := it.queue.backoff.state) else 0,
                backoff.retry_at if backoff else None,
            )
            for name, it in sorted(self._destinations.items())
        ]

    async def start(self) -> None:
        """Continue the back-offs from before a restart."""
        now = self._clock.now()
        for server_name, state in (await self._store.load()).items():
            self._destination(server_name).queue.backoff.restore(state, now)

    async def stop(self) -> None:
        """Cancel all requests. States that were not sent are lost until they change again."""
        if self._timer is not None:
            self._timer[1].cancel()
        for lane in (self._lane, self._narrow_lane):
            lane.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, server_name: ServerName, states: Sequence[UserPresenceState]) -> None:
        if not self.sends_to(server_name):
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

    def withdraw(self, server_name: ServerName, users: AbstractSet[UserId]) -> AbstractSet[UserId]:
        destination = self._destinations.get(server_name)
        return frozenset() if destination is None else destination.queue.withdraw(users)

    @property
    def reaches_others(self) -> bool:
        return True

    def sends_to(self, server_name: ServerName) -> bool:
        return server_name != self._server_name and self._policy.admits(server_name)

    def cease(self, is_theirs: Callable[[ServerName], bool]) -> None:
        for server_name in list(filter(is_theirs, self._destinations)):
            destination = self._destinations.pop(server_name)
            self._deadlines.drop(server_name)
            destination.queue.take_back()
            if destination.task is not None:
                destination.task.cancel()

    async def take_over(self, is_ours: Callable[[ServerName], bool]) -> None:
        stored, now = await self._store.load(), self._clock.now()
        for server_name in filter(is_ours, stored):
            self._destination(server_name).queue.backoff.restore(stored[server_name], now)

    def heard_from(self, server_name: ServerName) -> None:
        destination = self._destinations.get(server_name)
        if destination is not None:
            destination.queue.backoff.heard(self._clock.now())
            self._schedule(server_name, destination)

    def _destination(self, server_name: ServerName) -> _Destination:
        destination = self._destinations.get(server_name)
        if destination is None:
            queue = DestinationQueue(Backoff(self._random))
            destination = self._destinations[server_name] = _Destination(queue)
        return destination

    def _schedule(self, server_name: ServerName, destination: _Destination) -> None:
        due = destination.queue.next_due()
        if due is not None and not destination.is_busy:
            self._deadlines.put(server_name, due)
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._deadlines.next()
        if due is None or (self._timer is not None and self._timer[0] <= due):
            return
        if self._timer is not None:
            self._timer[1].cancel()
        self._timer = (due, self._clock.call_at(due, self._wake))

    def _wake(self) -> None:
        self._timer = None
        for server_name in self._deadlines.due(self._clock.now()):
            self._begin(server_name, self._destinations[server_name])
        self._set_timer()

    def _begin(self, server_name: ServerName, destination: _Destination) -> None:
        destination.is_busy = True
        lane = self._narrow_lane if destination.queue.backoff.state else self._lane

        def begin() -> None:
            work = self._transmit(server_name, destination, lane)
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        lane.enter(begin)

    async def _transmit(
        self, server_name: ServerName, destination: _Destination, lane: Lane
    ) -> None:
        queue, destination.task = destination.queue, asyncio.current_task()
        before = queue.backoff.state
        try:
            states = queue.take(self._clock.now())
            if states:
                now = self._clock.now()
                transaction = Transaction(self._server_name, now, [presence_edu(states, now)])
                path = _SEND + quote(next(self._txn_ids), safe="")
                content = encode_transaction(transaction)
                await self._request(server_name, "PUT", path, content)
                queue.succeeded()
        except FederationError as failure:
            queue.failed(self._clock.now())
            _log.info("presence was not sent", destination=server_name, problem=str(failure))
        finally:
            lane.leave()
            destination.is_busy, destination.task = False, None
            if self._destinations.get(server_name) is destination:  # else another node sends now
                self._schedule(server_name, destination)
                if queue.is_idle:
                    del self._destinations[server_name]  # it has no deadline either
        if queue.backoff.state != before:
            try:
                await self._store.save(server_name, queue.backoff.state)
            except StorageUnavailable as problem:
                reason = str(problem)
                _log.debug("a back-off was not saved", destination=server_name, problem=reason)

"""Modules that get every announced state: `subscribe_to_presence`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import structlog

from lamplighter.clock import Clock, within
from lamplighter.ids import UserId
from lamplighter.log_limits import LogLimit
from lamplighter.metrics import Metrics
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.containment import contained, described

__all__ = ["PresenceCallback", "Subscribers"]

_log = structlog.get_logger(__name__)

PresenceCallback: TypeAlias = Callable[[list[UserPresenceState]], Awaitable[None]]


class _Subscriber:
    """One callback, called by one task at a time; what it misses is coalesced per user."""

    def __init__(self, callback: PresenceCallback, module: str) -> None:
        self.callback = callback
        self.module = module
        self.waiting: dict[UserId, UserPresenceState] = {}
        self.task: asyncio.Task[None] | None = None


class Subscribers:
    """All subscribers, each with a time-out of its own.

    In a cluster they are told on the node that owns the users, and so once.
    """

    def __init__(self, clock: Clock, metrics: Metrics, timeout: timedelta) -> None:
        self._clock = clock
        self._metrics = metrics
        self._timeout = timeout
        self._subscribers: list[_Subscriber] = []
        self._said = LogLimit()

    def subscribe(self, callback: PresenceCallback, module: str) -> Callable[[], None]:
        """Call *callback* with each batch of announced states; return what ends that."""
        subscriber = _Subscriber(callback, module)
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def announce(self, states: Sequence[UserPresenceState]) -> None:
        """Hand *states* to every subscriber; nobody waits for them."""
        for subscriber in self._subscribers:
            subscriber.waiting.update({UserId(state.user_id): state for state in states})
            if subscriber.task is None and subscriber.waiting:
                subscriber.task = asyncio.get_running_loop().create_task(self._serve(subscriber))

    def close(self) -> None:
        """Call nobody any more."""
        for subscriber in self._subscribers:
            if subscriber.task is not None:
                subscriber.task.cancel()
        self._subscribers.clear()

    async def _serve(self, subscriber: _Subscriber) -> None:
        try:
            while subscriber.waiting and subscriber in self._subscribers:
                states = list(subscriber.waiting.values())
                subscriber.waiting.clear()
                await self._call(subscriber, states)
        finally:
            subscriber.task = None

    async def _call(self, subscriber: _Subscriber, states: list[UserPresenceState]) -> None:
        try:
            answer = contained(subscriber.module, partial(subscriber.callback, states))
            await within(self._clock, self._timeout, answer)
        except Exception as failure:  # noqa: BLE001 - a module's
            kind = "timeout" if isinstance(failure, TimeoutError) else "exception"
            self._metrics.module_failed(subscriber.module, "subscribe_to_presence", kind)
            sort = subscriber.module, type(failure).__name__
            left_out = self._said.admits(sort, self._clock.now())
            if left_out is not None:
                _log.warning(
                    "module failed",
                    module=subscriber.module,
                    callback="subscribe_to_presence",
                    problem=described(failure),
                    exc_info=failure,
                    **({"left_out": left_out} if left_out else {}),
                )

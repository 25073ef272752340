"""The presence calls of one set of modules: they take effect only while the set is in use."""

from collections.abc import Callable, Collection, Mapping

import structlog

from lamplighter.errors import ShuttingDown
from lamplighter.ids import UserId
from lamplighter.modules.host import PresenceHost, PresenceListener
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["SetHost"]

_log = structlog.get_logger(__name__)


class SetHost:
    """A `PresenceHost` for one set of modules.

    Before the set is in use, its modules may read presence; calls that set presence or send
    snapshots are logged and left undone, and subscriptions begin later. After the set was replaced,
    such calls raise `ShuttingDown`.
    """

    def __init__(self, host: PresenceHost) -> None:
        self._host = host
        self._in_use = False
        self._is_over = False
        #: Each subscription, with the function that ends it once it has begun.
        self._subscriptions: dict[_Subscription, Callable[[], None] | None] = {}

    def open(self) -> None:
        """Put the set in use."""
        self._in_use = True
        for subscription in self._subscriptions:
            self._begin(subscription)

    def close(self) -> None:
        """Take the set out of use."""
        self._in_use, self._is_over = False, True
        for subscription in list(self._subscriptions):
            self._end(subscription)

    def discard(self, module: str) -> None:
        """End the subscriptions of *module*, which is not loaded after all."""
        for subscription in list(self._subscriptions):
            if subscription.module == module:
                self._end(subscription)

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        if self._may_act("send_local_online_presence_to"):
            await self._host.send_local_online_presence_to(users)

    async def set_presence_for_users(
        self, users: Mapping[UserId, tuple[Presence, str | None]]
    ) -> None:
        if self._may_act("set_presence_for_users"):
            await self._host.set_presence_for_users(users)

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        return self._host.presence_of(user_id)

    def subscribe(self, callback: PresenceListener, module: str) -> Callable[[], None]:
        subscription = _Subscription(callback, module)
        if not self._is_over:
            self._subscriptions[subscription] = None
        if self._in_use:
            self._begin(subscription)
        return lambda: self._end(subscription)

    def _may_act(self, what: str) -> bool:
        if self._is_over:
            raise ShuttingDown(f"{what}: other modules have replaced this one")
        if not self._in_use:
            _log.info("not done: the module is not in use yet", call=what)
        return self._in_use

    def _begin(self, subscription: "_Subscription") -> None:
        end = self._host.subscribe(subscription.callback, subscription.module)
        self._subscriptions[subscription] = end

    def _end(self, subscription: "_Subscription") -> None:
        end = self._subscriptions.pop(subscription, None)
        if end is not None:
            end()


class _Subscription:
    """One call of `subscribe`; a callback may subscribe twice."""

    def __init__(self, callback: PresenceListener, module: str) -> None:
        self.callback = callback
        self.module = module

"""The module API in a replay works with these: the server as recorded, read-only."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from lamplighter.errors import NotFound, UnknownToken
from lamplighter.ids import RoomAlias, RoomId, UserId
from lamplighter.modules.host import PresenceListener
from lamplighter.ports import Account, Json, Profile, Requester
from lamplighter.presence.state import UserPresenceState
from lamplighter.recording.world import RecordedWorld
from lamplighter.routing.registrations import Registrations
from lamplighter.routing.router import ModuleRouter
from lamplighter.service.subscribers import Subscribers

__all__ = ["ReplayDirectory", "ReplayExchange", "ReplayHost"]


class ReplayHost:
    """A `PresenceHost`: presence is what the record says."""

    def __init__(
        self,
        world: Callable[[], RecordedWorld],
        subscribers: Subscribers,
        forget_interest: Callable[[UserId], None],
        unanswered: Counter[str],
    ) -> None:
        """*unanswered* counts the requests for data that is not in the record."""
        self._world = world
        self._forget_interest = forget_interest
        self._unanswered = unanswered
        self.subscribe: Callable[[PresenceListener, str], Callable[[], None]] = (
            subscribers.subscribe
        )

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:
        for user_id in users:
            self._forget_interest(user_id)

    async def set_presence_for_users(self, *_: object, **__: object) -> None:
        self._unanswered["set_presence_for_users"] += 1  # the past cannot be changed

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        known = self._world().states.get(user_id)
        return UserPresenceState.default(user_id) if known is None else known


class ReplayDirectory:
    """A `ModuleDirectory` that knows which users exist; a record has no more data."""

    def __init__(self, world: Callable[[], RecordedWorld], unanswered: Counter[str]) -> None:
        """*unanswered* counts the requests for data that is not in the record."""
        self._world = world
        self._unanswered = unanswered

    async def authenticate(self, *_: object, **__: object) -> Requester:
        raise UnknownToken("nobody is logged in")

    def is_guest(self, _user_id: UserId, /) -> bool:
        return False

    async def account(self, user_id: UserId) -> Account | None:
        world = self._world()
        recorded = world.accounts.get(user_id)
        if recorded is None and world.is_mine(user_id) and world.mentions(user_id):
            return Account(user_id, world.began.at, is_admin=False, is_deactivated=False)
        return recorded

    async def profile(self, user_id: UserId) -> Profile:
        self._unanswered["profile"] += 1
        if await self.account(user_id) is None:
            raise NotFound(f"There is no user {user_id}")
        return Profile(None, None)

    async def account_data(self, *_: object, **__: object) -> Json | None:
        self._unanswered["account_data"] += 1
        return None

    async def set_account_data(self, *_: object, **__: object) -> None:
        self._unanswered["set_account_data"] += 1

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        self._unanswered["room_alias"] += 1
        raise NotFound(f"There is no room {alias}")

    async def state_for_modules(self, *_: object, **__: object) -> Sequence[Json]:
        self._unanswered["room_state"] += 1
        return []


class ReplayExchange:
    """A `ModuleExchange` for modules that are loaded once."""

    def __init__(self, router: ModuleRouter) -> None:
        self.prepare: Callable[[], Registrations] = router.prepare
        self.adopt: Callable[[Registrations], None] = router.adopt

    async def try_out(self, registrations: Registrations) -> None:
        """Nothing is reloaded in a replay."""

    async def swap(self, registrations: Registrations, along: Callable[[], None]) -> None:
        """Nothing is reloaded in a replay."""

    def left_undone(self, module: str, call: str) -> None:
        """Do nothing: nobody asks about shadow modules here."""

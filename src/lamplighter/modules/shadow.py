"""The server as a module in the shadow sees it: it may read everything, and change nothing.

Calls that would change something are counted and have no effect, without an error.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from lamplighter.ids import RoomAlias, RoomId, UserId
from lamplighter.modules.host import ModuleDirectory, PresenceHost, PresenceListener
from lamplighter.ports import Account, Json, Profile, Requester
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["LeftUndone", "ShadowDirectory", "ShadowHost"]

#: Gets the name of each call that has had no effect.
LeftUndone = Callable[[str], None]


class ShadowHost:
    """A `PresenceHost` that changes nothing."""

    def __init__(self, host: PresenceHost, left_undone: LeftUndone) -> None:
        self._host = host
        self._left_undone = left_undone

    async def send_local_online_presence_to(self, users: Collection[UserId]) -> None:  # noqa: ARG002 - left undone
        self._left_undone("send_local_online_presence_to")

    async def set_presence_for_users(
        self,
        users: Mapping[UserId, tuple[Presence, str | None]],  # noqa: ARG002 - left undone
    ) -> None:
        self._left_undone("set_presence_for_users")

    def presence_of(self, user_id: UserId) -> UserPresenceState:
        return self._host.presence_of(user_id)

    def subscribe(self, callback: PresenceListener, module: str) -> Callable[[], None]:
        return self._host.subscribe(callback, module)


class ShadowDirectory:
    """A `ModuleDirectory` that writes nothing."""

    def __init__(self, directory: ModuleDirectory, left_undone: LeftUndone) -> None:
        self._directory = directory
        self._left_undone = left_undone

    async def authenticate(self, access_token: str) -> Requester:
        return await self._directory.authenticate(access_token)

    async def account(self, user_id: UserId) -> Account | None:
        return await self._directory.account(user_id)

    async def profile(self, user_id: UserId) -> Profile:
        return await self._directory.profile(user_id)

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        return await self._directory.account_data(user_id, room_id, data_type)

    async def set_account_data(
        self,
        user_id: UserId,  # noqa: ARG002 - left undone, as are the others
        room_id: RoomId | None,  # noqa: ARG002 - left undone
        data_type: str,  # noqa: ARG002 - left undone
        content: Json,  # noqa: ARG002 - left undone
    ) -> None:
        self._left_undone("set_account_data")

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        return await self._directory.resolve_alias(alias)

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        return await self._directory.state_for_modules(room_id, wanted)

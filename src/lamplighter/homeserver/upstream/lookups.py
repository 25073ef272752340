"""What modules and operators ask about users and rooms: the homeserver is asked for it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.errors import (
    Forbidden,
    HomeserverTooSlow,
    HomeserverUnreachable,
    NotFound,
    StorageUnavailable,
)
from lamplighter.homeserver.upstream.identity import UpstreamIdentity
from lamplighter.homeserver.upstream.service import AppService
from lamplighter.ids import RoomAlias, RoomId, UserId
from lamplighter.ports import NO_HEAD, Account, DeviceRecord, Json, Profile, Requester, RequestHead

__all__ = ["UpstreamLookups"]

#: By these the homeserver does not answer a question of ours.
_FAILURES: Final = (HomeserverUnreachable, HomeserverTooSlow, Forbidden)
#: What another homeserver does not tell: when an account was made.
_UNKNOWN: Timestamp = Timestamp(0)


@contextmanager
def _else_unavailable(failures: tuple[type[Exception], ...] = _FAILURES) -> Iterator[None]:
    """Raise `StorageUnavailable` in the place of each of *failures*."""
    try:
        yield
    except failures as error:
        raise StorageUnavailable(str(error)) from error


class UpstreamLookups:
    """A `Lookups` that asks the homeserver as an application service."""

    def __init__(
        self,
        identity: UpstreamIdentity,
        service: AppService,
        local_member: Callable[[RoomId], UserId | None],
    ) -> None:
        """*local_member* names a user of the homeserver in a room, if one is known."""
        self._identity = identity
        self._service = service
        self._local_member = local_member

    async def authenticate(
        self, access_token: str, query: str = "", head: RequestHead = NO_HEAD, /
    ) -> Requester:
        return await self._identity.authenticate(access_token, query, head)

    def requester_in_use(
        self, access_token: str, now: Timestamp, query: str = "", /
    ) -> Requester | None:
        return self._identity.requester_in_use(access_token, now, query)

    def is_guest(self, user_id: UserId, /) -> bool:
        return self._identity.is_guest(user_id)

    async def account(self, user_id: UserId) -> Account | None:
        with _else_unavailable():
            exists = await self._service.exists(user_id)
        if not exists:
            return None
        return Account(user_id, _UNKNOWN, is_admin=False, is_deactivated=False)

    async def accounts(
        self, after: UserId | None, limit: int, containing: str = ""
    ) -> Sequence[Account]:
        """Return the users who were seen here: a homeserver lists its users to no service."""
        seen = sorted(
            it for it in self._identity.users() if it > (after or "") and containing in it
        )
        return [Account(it, _UNKNOWN, is_admin=False, is_deactivated=False) for it in seen[:limit]]

    async def devices(self, user_id: UserId) -> Sequence[DeviceRecord]:
        return [DeviceRecord(it, None, None) for it in sorted(self._identity.devices_of(user_id))]

    async def profile(self, user_id: UserId) -> Profile:
        with _else_unavailable():
            return await self._service.profile(user_id)

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        with _else_unavailable():
            return await self._service.account_data(user_id, room_id, data_type)

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        with _else_unavailable((*_FAILURES, NotFound)):
            await self._service.set_account_data(user_id, room_id, data_type, content)

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        with _else_unavailable():
            return await self._service.resolve(alias)

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        with _else_unavailable():
            try:
                member = self._local_member(room_id)
                if member is None:
                    joined = await self._service.joined_members(room_id)
                    member = next(filter(self._service.is_local, joined), None)
                state = [] if member is None else await self._service.state(room_id, member)
            except (Forbidden, NotFound):
                return []
        if wanted is None:
            return state
        return [
            event
            for event in state
            if any(
                event.get("type") == kind and key in (None, event.get("state_key"))
                for kind, key in wanted
            )
        ]

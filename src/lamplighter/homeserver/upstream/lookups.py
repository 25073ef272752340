"""What modules and operators ask about users and rooms: the homeserver is asked for it."""

from collections.abc import Sequence

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
from lamplighter.ports import Account, DeviceRecord, Json, Profile, Requester

__all__ = ["UpstreamLookups"]

#: What another homeserver does not tell: when an account was made.
_UNKNOWN: Timestamp = Timestamp(0)


class UpstreamLookups:
    """A `Lookups` that asks the homeserver as an application service."""

    def __init__(self, identity: UpstreamIdentity, service: AppService) -> None:
        self._identity = identity
        self._service = service

    async def authenticate(self, access_token: str, query: str = "", /) -> Requester:
        return await self._identity.authenticate(access_token, query)

    def requester_in_use(self, access_token: str, query: str = "", /) -> Requester | None:
        return self._identity.requester_in_use(access_token, query)

    async def account(self, user_id: UserId) -> Account | None:
        try:
            exists = await self._service.exists(user_id)
        except (HomeserverUnreachable, HomeserverTooSlow) as error:
            raise StorageUnavailable(str(error)) from error
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
        try:
            return await self._service.profile(user_id)
        except (HomeserverUnreachable, HomeserverTooSlow, Forbidden) as error:
            raise StorageUnavailable(str(error)) from error

    async def account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str
    ) -> Json | None:
        try:
            return await self._service.account_data(user_id, room_id, data_type)
        except (HomeserverUnreachable, HomeserverTooSlow, Forbidden) as error:
            raise StorageUnavailable(str(error)) from error

    async def set_account_data(
        self, user_id: UserId, room_id: RoomId | None, data_type: str, content: Json
    ) -> None:
        try:
            await self._service.set_account_data(user_id, room_id, data_type, content)
        except (HomeserverUnreachable, HomeserverTooSlow, Forbidden, NotFound) as error:
            raise StorageUnavailable(str(error)) from error

    async def resolve_alias(self, alias: RoomAlias) -> RoomId:
        try:
            return await self._service.resolve(alias)
        except (HomeserverUnreachable, HomeserverTooSlow, Forbidden) as error:
            raise StorageUnavailable(str(error)) from error

    async def state_for_modules(
        self, room_id: RoomId, wanted: Sequence[tuple[str, str | None]] | None
    ) -> Sequence[Json]:
        try:
            state = await self._service.state(room_id)
        except (Forbidden, NotFound):
            return []
        except (HomeserverUnreachable, HomeserverTooSlow) as error:
            raise StorageUnavailable(str(error)) from error
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

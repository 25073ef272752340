"""The admin API on accounts, their devices and presence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.requests import Request

from lamplighter.errors import NotFound
from lamplighter.ids import UserId
from lamplighter.ports import Account, DeviceRecord, Lookups, Membership
from lamplighter.presence.state import Presence
from lamplighter.service.core import Core
from lamplighter.service.room_names import RoomNames
from lamplighter.web.admin.content import (
    DeviceContent,
    PresenceContent,
    PresencePage,
    RoomContent,
    UserContent,
    UserDetails,
    UserPage,
    UserPresence,
)
from lamplighter.web.admin.operations import Operation, Parameter
from lamplighter.web.admin.queries import FROM, LIMIT, page_length, page_of, page_start, user_named
from lamplighter.web.fields import text

__all__ = ["AdminUsers"]

_CONTAINING: Final = Parameter(
    "containing",
    "Only accounts whose localpart or display name contains this text.",
    {"type": "string"},
)


@dataclass(frozen=True, slots=True)
class AdminUsers:
    """Shows accounts and their devices."""

    lookups: Lookups
    membership: Membership
    core: Core
    room_names: RoomNames

    def operations(self) -> list[Operation]:
        page = (LIMIT, FROM)
        searched = (_CONTAINING, LIMIT, FROM)
        return [
            Operation("GET", "/users", "List the accounts.", self.list_all, UserPage, searched),
            Operation("GET", "/users/{user_id}", "Show one account.", self.get, UserDetails),
            Operation(
                "GET",
                "/online",
                "List everybody who is not offline, users of other servers too.",
                self.list_online,
                PresencePage,
                page,
            ),
        ]

    async def list_all(self, request: Request) -> UserPage:
        """Return a page of the accounts, in the order of user IDs."""
        start, most = page_start(request), page_length(request)
        containing = text("containing", request.query_params.get("containing", ""))
        accounts = await self.lookups.accounts(
            None if start is None else UserId(start), most, containing
        )
        users = [self._user(account) for account in accounts]
        return UserPage(users, users[-1].user_id if len(users) == most else None)

    async def get(self, request: Request) -> UserDetails:
        """Return one account with its devices and rooms. Raises `NotFound`."""
        user_id = user_named(request.path_params["user_id"], self.core.settings.server_name)
        account = await self.lookups.account(user_id)
        if account is None:
            raise NotFound("There is no such user")
        records = await self.lookups.devices(account.user_id)
        names = await self.room_names.of(await self.membership.joined_rooms(account.user_id))
        profile = await self.lookups.profile(account.user_id)
        return UserDetails(
            **msgspec.structs.asdict(self._user(account)),
            displayname=profile.displayname,
            devices=self._devices(account.user_id, records),
            rooms=[RoomContent(room_id, name) for room_id, name in names.items()],
        )

    async def list_online(self, request: Request) -> PresencePage:
        """Return a page of the users who are not offline."""
        known = self.core.roster.known()
        online = {it.user_id: it for it in known if it.state != Presence.OFFLINE}
        names, next_batch = page_of(request, list(online))
        users = [UserPresence(name, PresenceContent.of(online[name])) for name in names]
        return PresencePage(users, len(online), next_batch)

    def _user(self, account: Account) -> UserContent:
        return UserContent(
            account.user_id,
            account.created_ts,
            account.is_admin,
            account.is_deactivated,
            PresenceContent.of(self.core.roster.get(account.user_id)),
        )

    def _devices(self, user_id: UserId, records: Sequence[DeviceRecord]) -> list[DeviceContent]:
        present = {device.device_id: device for device in self.core.intake.devices_of(user_id)}
        polls = self.core.feed.polls_of(user_id)
        return [
            DeviceContent(
                record.device_id,
                record.display_name,
                record.last_seen_ts,
                str(device.presence) if (device := present.get(record.device_id)) else None,
                device.last_active_ts if device else None,
                polls[record.device_id],
            )
            for record in records
        ]

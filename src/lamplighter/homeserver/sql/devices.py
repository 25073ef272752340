"""Devices and their access tokens: log in, log out, list, rename."""

import secrets
import string
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import devices
from lamplighter.errors import NotFound, TooLarge
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import text_within
from lamplighter.homeserver.sql.people import find_active
from lamplighter.homeserver.sql.tokens import AccessTokens, hash_token, new_token
from lamplighter.homeserver.values import Login
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import DeviceRecord, Requester

__all__ = ["Devices", "check_device"]

_MAX_DISPLAY_NAME: Final = 100
#: Devices of one user. Clients that forget to log out leave devices behind.
_MAX_DEVICES: Final = 200


class Devices:
    """The devices of our users; each has one access token."""

    def __init__(self, ledger: Ledger, tokens: AccessTokens) -> None:
        self._ledger = ledger
        self._tokens = tokens

    async def log_in(
        self, user_id: UserId, *, device_id: DeviceId | None = None, device_name: str | None = None
    ) -> Login:
        """Give a device a new access token, which replaces the one it had."""

        async def work(write: Write) -> Login:
            await find_active(write.connection, user_id)
            return await self.add(write, user_id, device_id, device_name)

        check_device(device_id, device_name)
        return await self._ledger.write(work)

    async def add(
        self, write: Write, user_id: UserId, device_id: DeviceId | None, name: str | None
    ) -> Login:
        """Give a device, new or known, a new token within *write*; a known one keeps its name.

        A user with too many devices loses the one that was unused for longest.
        """
        if not device_id:
            letters = (secrets.choice(string.ascii_uppercase) for _ in range(10))
            device_id = DeviceId("".join(letters))
        token = new_token()
        fresh: dict[str, Any] = {"token_hash": hash_token(token), "last_seen_ts": write.now}
        known = await _find(write.connection, user_id, device_id)
        if known is None:
            await self._make_room(write, user_id)
            row = {"user_id": user_id, "device_id": device_id, "display_name": name, **fresh}
            await write.connection.execute(insert(devices).values(row))
        else:
            device = update(devices).where(_is(user_id, device_id))
            await write.connection.execute(device.values(fresh))
            write.afterwards.append(lambda: self._tokens.revoke([known.token_hash]))
            write.tokens_revoked.append((user_id, [device_id]))
        return Login(user_id, device_id, token)

    async def remove(
        self,
        write: Write,
        user_id: UserId,
        only: Collection[DeviceId] | None = None,
        but: DeviceId | None = None,
    ) -> None:
        """Delete all devices of the user within *write*, or *only* some, or all *but* one.

        The cost depends on the number of the user's devices, not on how many are named.
        """
        mine = devices.c.user_id == user_id
        rows = (await write.connection.execute(select(devices).where(mine))).all()
        if only is not None:
            named = frozenset(only)
            rows = [row for row in rows if row.device_id in named]
        rows = [row for row in rows if row.device_id != but]
        if not rows:
            return
        gone = [DeviceId(row.device_id) for row in rows]
        await write.connection.execute(delete(devices).where(mine, devices.c.device_id.in_(gone)))
        write.devices_gone.append((user_id, gone))
        write.afterwards.append(lambda: self._tokens.revoke(row.token_hash for row in rows))

    async def log_out(self, requester: Requester) -> None:
        """Revoke the requester's token and delete the device."""
        await self.delete_devices(requester.user_id, [requester.device_id])

    async def log_out_all(self, user_id: UserId) -> None:
        """Revoke all tokens and delete all devices of the user."""
        await self._ledger.write(lambda write: self.remove(write, user_id))

    async def delete_devices(self, user_id: UserId, device_ids: Collection[DeviceId]) -> None:
        """Delete the devices and revoke their tokens; harmless for those that are not there."""
        await self._ledger.write(lambda write: self.remove(write, user_id, device_ids))

    async def devices(self, user_id: UserId) -> Sequence[DeviceRecord]:
        """Return the user's devices."""
        query = select(devices).where(devices.c.user_id == user_id).order_by(devices.c.device_id)
        async with self._ledger.read() as connection:
            rows = (await connection.execute(query)).all()
        return [self._record(row) for row in rows]

    async def device(self, user_id: UserId, device_id: DeviceId) -> DeviceRecord:
        """Return one device; raise `NotFound`."""
        async with self._ledger.read() as connection:
            row = await _find(connection, user_id, device_id)
        if row is None:
            raise NotFound("There is no such device")
        return self._record(row)

    async def rename_device(
        self, user_id: UserId, device_id: DeviceId, display_name: str | None
    ) -> None:
        """Give the device another name; raise `NotFound`."""

        async def work(write: Write) -> None:
            renamed = await write.connection.execute(
                update(devices).where(_is(user_id, device_id)).values(display_name=display_name)
            )
            if not renamed.rowcount:
                raise NotFound("There is no such device")

        check_device(None, display_name)
        await self._ledger.write(work)

    async def _make_room(self, write: Write, user_id: UserId) -> None:
        """Delete the devices that were unused for longest, until the user may have one more."""
        query = select(devices).where(devices.c.user_id == user_id)
        rows = (await write.connection.execute(query)).all()
        by_use = sorted(map(self._record, rows), key=lambda it: it.last_seen_ts or 0)
        surplus = by_use[: max(0, len(by_use) - _MAX_DEVICES + 1)]
        if surplus:
            await self.remove(write, user_id, [device.device_id for device in surplus])

    def _record(self, row: Any) -> DeviceRecord:
        last_seen_ts = self._tokens.last_seen(row.token_hash) or row.last_seen_ts
        return DeviceRecord(DeviceId(row.device_id), row.display_name, last_seen_ts)


def check_device(device_id: DeviceId | None, display_name: str | None) -> None:
    """Raise `TooLarge` or `InvalidParam` for a device that cannot be stored."""
    if device_id is not None:
        text_within("device_id", device_id)
    if display_name is not None and len(display_name) > _MAX_DISPLAY_NAME:
        raise TooLarge(f"display_name: at most {_MAX_DISPLAY_NAME} characters are allowed")


def _is(user_id: UserId, device_id: DeviceId) -> ColumnElement[bool]:
    return and_(devices.c.user_id == user_id, devices.c.device_id == device_id)


async def _find(connection: AsyncConnection, user_id: UserId, device_id: DeviceId) -> Any:
    return (await connection.execute(select(devices).where(_is(user_id, device_id)))).one_or_none()

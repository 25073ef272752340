"""Devices and their access tokens: log in, log out, list, rename.

A token is given out once, stored as a hash, and recognised by one dict look-up. The tokens in use
are the memory of one process, which does not read them again: it learns from the news of writes
that tokens have ended. A single node does not hear of what a command writes, so commands that log
devices out ask a running server to do it.
"""

import hashlib
import secrets
import string
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.adapter import Statement
from lamplighter.database.tables import devices
from lamplighter.errors import NotFound, TooLarge, UnknownToken
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import text_within
from lamplighter.homeserver.sql.people import find_active
from lamplighter.homeserver.values import Login
from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import NO_HEAD, DeviceRecord, Requester, RequestHead

__all__ = ["AccessTokens", "Devices", "check_device", "hash_token"]

_MAX_DISPLAY_NAME: Final = 100
#: Devices of one user. Clients that forget to log out leave devices behind.
_MAX_DEVICES: Final = 200

_DEVICE_OF: Final = "SELECT user_id, device_id FROM devices WHERE token_hash = $1"


def hash_token(access_token: str) -> str:
    """Return the hash of an access token. A token is random, so a plain SHA-256 protects it."""
    return hashlib.sha256(access_token.encode(errors="replace")).hexdigest()


@dataclass(slots=True)
class _InUse:
    requester: Requester
    last_seen_ts: Timestamp


class AccessTokens:
    """Knows the devices to which access tokens belong."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        #: The tokens in use, by the token itself. Tokens that do not exist take no memory.
        self._in_use: dict[str, _InUse] = {}
        self._by_hash: dict[str, str] = {}
        self._revocations = 0
        ledger.when_tokens_end(self.revoke)

    async def authenticate(
        self, access_token: str, _query: str = "", _head: RequestHead = NO_HEAD
    ) -> Requester:
        """Return the device whose token it is; raise `UnknownToken`.

        On many nodes, log-outs anywhere count that were acknowledged before the call. Raises
        `ClusterUnavailable` where this node cannot know that.
        """
        await self._ledger.catch_up()
        known = self.requester_in_use(access_token, self._ledger.now())
        return known or await self._look_up(access_token)

    def requester_in_use(
        self, access_token: str, now: Timestamp, _query: str = ""
    ) -> Requester | None:
        """Return the device whose token it is, if the token was used in this process."""
        known = self._in_use.get(access_token)
        if known is None:
            return None
        known.last_seen_ts = now
        return known.requester

    def is_guest(self, _user_id: UserId, /) -> bool:
        """Tell that nobody is a guest: this homeserver registers none."""
        return False

    def last_seen(self, token_hash: str) -> Timestamp | None:
        """Return when the token was last used, if it was since the process started."""
        token = self._by_hash.get(token_hash)
        return None if token is None else self._in_use[token].last_seen_ts

    def revoke(self, token_hashes: Iterable[str]) -> None:
        """Forget tokens that are no longer stored."""
        self._revocations += 1
        for token_hash in token_hashes:
            token = self._by_hash.pop(token_hash, None)
            if token is not None:
                del self._in_use[token]

    async def _look_up(self, access_token: str) -> Requester:
        token_hash = hash_token(access_token)
        while True:
            revocations = self._revocations
            rows = await self._ledger.fetch(Statement(_DEVICE_OF, (token_hash,)))
            if not rows:
                raise UnknownToken("Unknown access token")
            if revocations == self._revocations:  # else it may have been revoked as we read
                [(user_id, device_id)] = rows
                requester = Requester(UserId(user_id), DeviceId(device_id))
                self._in_use[access_token] = _InUse(requester, self._ledger.now())
                self._by_hash[token_hash] = access_token
                return requester


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
        token = secrets.token_urlsafe(32)
        fresh: dict[str, Any] = {"token_hash": hash_token(token), "last_seen_ts": write.now}
        known = await _find(write.connection, user_id, device_id)
        if known is None:
            await self._make_room(write, user_id)
            row = {"user_id": user_id, "device_id": device_id, "display_name": name, **fresh}
            await write.connection.execute(insert(devices).values(row))
        else:
            device = update(devices).where(_is(user_id, device_id))
            await write.connection.execute(device.values(fresh))
            write.ended_tokens.append(known.token_hash)
            write.tokens_revoked.append((user_id, (device_id,)))
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
        write.devices_gone.append((user_id, tuple(gone)))
        write.ended_tokens += [row.token_hash for row in rows]

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

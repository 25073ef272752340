"""Accounts: registration, passwords, profiles, and how an account ends.

Passwords are hashed with argon2, in threads.
"""

import asyncio
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import account_data, filters, memberships, users
from lamplighter.errors import (
    Forbidden,
    InvalidId,
    InvalidParam,
    InvalidUsername,
    NotFound,
    TooLarge,
    Untold,
    UserInUse,
)
from lamplighter.homeserver.sql.devices import Devices, check_device
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.membership import RoomMemberships
from lamplighter.homeserver.sql.people import account_in, find_active, find_user
from lamplighter.homeserver.values import MAX_PASSWORD, Login, MemberState
from lamplighter.ids import DeviceId, ServerName, UserId, parse_localpart, parse_user_id
from lamplighter.ports import Account, Profile

__all__ = ["AccountBook"]

#: Characters.
_MAX_DISPLAYNAME: Final = 256
_MAX_AVATAR_URL: Final = 1000
#: Passwords that are hashed at a time. A flood of logins takes neither all threads nor all memory.
_AT_A_TIME: Final = 2
#: 19 MiB, two passes: the smallest setting that OWASP's password storage cheat sheet recommends.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class _Passwords:
    """Makes hashes of passwords and checks passwords against them."""

    def __init__(self) -> None:
        self._at_a_time = asyncio.Semaphore(_AT_A_TIME)

    async def hash(self, password: str) -> str:
        """Return the hash of *password*, to be stored."""
        async with self._at_a_time:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def verify(self, known: str | None, password: str) -> bool:
        """Tell whether *known* is a hash of *password*.

        None stands for users without a password and users who do not exist, and takes as long.
        """
        async with self._at_a_time:
            if known is None:
                await asyncio.to_thread(_HASHER.hash, password)
                return False
            return await asyncio.to_thread(_verify, known, password)


def _verify(known: str, password: str) -> bool:
    try:
        return _HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True, slots=True)
class AccountBook:
    """The accounts of this server, with their profiles."""

    ledger: Ledger
    server_name: ServerName
    devices: Devices
    memberships: RoomMemberships
    passwords: _Passwords = field(default_factory=_Passwords)

    async def register(
        self,
        localpart: str | None,
        password: str | None,
        *,
        device_id: DeviceId | None = None,
        device_name: str | None = None,
        is_admin: bool = False,
    ) -> Login:
        """Create an account and log its first device in; raise `UserInUse`, `InvalidUsername`.

        Without a localpart one is chosen; without a password nobody can log in by password.
        """

        async def work(write: Write) -> Login:
            await _check_free(write.connection, user_id)
            account = insert(users).values(
                user_id=user_id,
                password_hash=password_hash,
                created_ts=write.now,
                is_admin=is_admin,
                is_deactivated=False,
            )
            await write.connection.execute(account)
            return await self.devices.add(write, user_id, device_id, device_name)

        if localpart is None:
            alphabet = string.ascii_lowercase + string.digits
            localpart = "".join(secrets.choice(alphabet) for _ in range(12))
        user_id = self._user_id(localpart)
        check_device(device_id, device_name)
        _check_length(password or "")
        async with self.ledger.read() as connection:  # before the work of hashing
            await _check_free(connection, user_id)
        password_hash = None if password is None else await self.passwords.hash(password)
        return await self.ledger.write(work)

    async def check_available(self, localpart: str) -> None:
        """Raise `UserInUse` or `InvalidUsername` if nobody could register as *localpart*."""
        user_id = self._user_id(localpart)
        async with self.ledger.read() as connection:
            await _check_free(connection, user_id)

    async def check_password(self, user_id: UserId, password: str) -> None:
        """Raise `Forbidden` unless it is the password of an active user."""
        async with self.ledger.read() as connection:
            person = await find_user(connection, user_id)
        # The password of a deactivated user is deleted, so nobody can prove to be that user, and
        # the answer is the one for an unknown user.
        known = None if person is None else person.password_hash
        if not await self.passwords.verify(known, password):
            raise Forbidden("Wrong user name or password")

    async def set_password(
        self, user_id: UserId, password: str, *, log_out: bool, but: DeviceId | None = None
    ) -> None:
        """Replace a user's password, and with *log_out* delete all their devices *but* one.

        Raises `NotFound`, `UserDeactivated`, `TooLarge`, and `InvalidParam` for an empty one.
        """

        async def work(write: Write) -> None:
            await find_active(write.connection, user_id)
            known = update(users).where(users.c.user_id == user_id)
            await write.connection.execute(known.values(password_hash=password_hash))
            if log_out:
                await self.devices.remove(write, user_id, but=but)

        if not password:
            raise InvalidParam("password: must not be empty")
        _check_length(password)
        async with self.ledger.read() as connection:  # before the work of hashing
            await find_active(connection, user_id)
        password_hash = await self.passwords.hash(password)
        await self.ledger.write(work)

    async def account(self, user_id: UserId) -> Account | None:
        """Return the account, or None if there never was one."""
        async with self.ledger.read() as connection:
            person = await find_user(connection, user_id)
        return None if person is None else person.account

    async def accounts(
        self, after: UserId | None, limit: int, containing: str = ""
    ) -> Sequence[Account]:
        """Return accounts by user ID, closed ones too, with *containing* in localpart or name."""
        query = select(users).where(users.c.user_id > (after or "")).order_by(users.c.user_id)
        if containing:
            pattern = f"%{_escaped(containing)}%"
            in_id = users.c.user_id.ilike(f"@{pattern}:{_escaped(self.server_name)}", escape="\\")
            query = query.where(in_id | users.c.displayname.ilike(pattern, escape="\\"))
        async with self.ledger.read() as connection:
            rows = (await connection.execute(query.limit(limit))).all()
        return [account_in(row) for row in rows]

    async def profile(self, user_id: UserId) -> Profile:
        """Return the user's profile; raise `NotFound` for users that do not exist."""
        async with self.ledger.read() as connection:
            person = await find_user(connection, user_id)
        if person is None:
            raise NotFound(f"There is no user {user_id}")
        return person.profile

    async def set_displayname(self, user_id: UserId, displayname: str | None) -> None:
        """Change the display name, in the user's rooms too."""
        await self._set_profile(user_id, "displayname", displayname, _MAX_DISPLAYNAME)

    async def set_avatar_url(self, user_id: UserId, avatar_url: str | None) -> None:
        """Change the avatar, in the user's rooms too."""
        await self._set_profile(user_id, "avatar_url", avatar_url, _MAX_AVATAR_URL)

    async def _set_profile(
        self, user_id: UserId, field: str, value: str | None, longest: int
    ) -> None:
        async def work(write: Write) -> Profile:
            await find_active(write.connection, user_id)
            row = {field: value or None}
            await write.connection.execute(
                update(users).where(users.c.user_id == user_id).values(row)
            )
            return (await find_active(write.connection, user_id)).profile

        if value is not None and len(value) > longest:
            raise TooLarge(f"{field}: at most {longest} characters are allowed")
        await self.memberships.show_profile(user_id, await self.ledger.write(work))

    async def deactivate(self, user_id: UserId) -> None:
        """Close the account: no token, password, profile or membership stays."""

        async def work(write: Write) -> None:
            await find_active(write.connection, user_id)
            await self.devices.remove(write, user_id)
            nothing = {"password_hash": None, "displayname": None, "avatar_url": None}
            await write.connection.execute(
                update(users)
                .where(users.c.user_id == user_id)
                .values(is_deactivated=True, **nothing)
            )
            for table in (account_data, filters):
                await write.connection.execute(delete(table).where(table.c.user_id == user_id))
            # The listener learns of it before the user leaves the rooms: members see the end.
            write.deactivated.append(user_id)

        try:
            await self.ledger.write(work)
        except Untold:  # the account is closed all the same, and nobody can ask for it again
            await self.memberships.leave_all(user_id)
            raise
        await self.memberships.leave_all(user_id)

    async def finish_deactivations(self) -> None:
        """Make deactivated users leave their rooms, if the process ended before they had left."""
        present = memberships.c.membership.in_((MemberState.JOIN, MemberState.INVITE))
        query = (
            select(users.c.user_id)
            .join(memberships, memberships.c.user_id == users.c.user_id)
            .where(users.c.is_deactivated, present)
            .distinct()
        )
        async with self.ledger.read() as connection:
            unfinished = (await connection.execute(query)).scalars().all()
        for user_id in unfinished:
            await self.memberships.leave_all(UserId(user_id))

    def _user_id(self, localpart: str) -> UserId:
        try:
            return parse_user_id(f"@{parse_localpart(localpart)}:{self.server_name}")
        except InvalidId as error:
            raise InvalidUsername(str(error)) from error


def _check_length(password: str) -> None:
    if len(password.encode()) > MAX_PASSWORD:
        raise TooLarge(f"password: longer than {MAX_PASSWORD} bytes")


async def _check_free(connection: AsyncConnection, user_id: UserId) -> None:
    """Raise `UserInUse` for a taken user ID; those of deactivated users stay taken."""
    if await find_user(connection, user_id) is not None:
        raise UserInUse(f"{user_id} is taken")


def _escaped(text: str) -> str:
    """Return a pattern that matches *text* itself."""
    return re.sub(r"([\\%_])", r"\\\1", text)

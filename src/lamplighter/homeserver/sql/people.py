"""The rows of our users."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import users
from lamplighter.errors import NotFound, UserDeactivated
from lamplighter.ids import UserId
from lamplighter.ports import Account, Profile

__all__ = ["StoredUser", "account_in", "find_active", "find_user"]


@dataclass(frozen=True, slots=True)
class StoredUser:
    """The row of a user: account, profile and password."""

    account: Account
    profile: Profile
    password_hash: str | None


async def find_user(connection: AsyncConnection, user_id: UserId) -> StoredUser | None:
    """Return the user, deactivated ones included; None if there never was one."""
    query = select(users).where(users.c.user_id == user_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return StoredUser(account_in(row), Profile(row.displayname, row.avatar_url), row.password_hash)


def account_in(row: Any) -> Account:
    """Return the account that a row of the table of users holds."""
    created_ts = Timestamp(row.created_ts)
    return Account(UserId(row.user_id), created_ts, row.is_admin, row.is_deactivated)


async def find_active(connection: AsyncConnection, user_id: UserId) -> StoredUser:
    """Return the user; raise `NotFound`, or `UserDeactivated`."""
    person = await find_user(connection, user_id)
    if person is None:
        raise NotFound(f"There is no user {user_id}")
    if person.account.is_deactivated:
        raise UserDeactivated(f"{user_id} was deactivated")
    return person

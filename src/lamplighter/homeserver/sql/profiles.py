"""Display names and avatars, in the profile and in the user's rooms."""

from typing import Final

from sqlalchemy import update

from lamplighter.database.tables import users
from lamplighter.errors import NotFound, TooLarge
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.membership import RoomMemberships
from lamplighter.homeserver.sql.people import find_active, find_user
from lamplighter.ids import UserId
from lamplighter.ports import Profile

__all__ = ["Profiles"]

_MAX_DISPLAYNAME: Final = 256
_MAX_AVATAR_URL: Final = 1000


class Profiles:
    """The profiles of our users."""

    def __init__(self, ledger: Ledger, memberships: RoomMemberships) -> None:
        self._ledger = ledger
        self._memberships = memberships

    async def profile(self, user_id: UserId) -> Profile:
        """Return the user's profile; raise `NotFound` for users that do not exist."""
        async with self._ledger.read() as connection:
            person = await find_user(connection, user_id)
        if person is None:
            raise NotFound(f"There is no user {user_id}")
        return person.profile

    async def set_displayname(self, user_id: UserId, displayname: str | None) -> None:
        """Change the display name, in the user's rooms too."""
        await self._set(user_id, "displayname", displayname, _MAX_DISPLAYNAME)

    async def set_avatar_url(self, user_id: UserId, avatar_url: str | None) -> None:
        """Change the avatar, in the user's rooms too."""
        await self._set(user_id, "avatar_url", avatar_url, _MAX_AVATAR_URL)

    async def _set(self, user_id: UserId, field: str, value: str | None, longest: int) -> None:
        async def work(write: Write) -> Profile:
            await find_active(write.connection, user_id)
            row = {field: value or None}
            await write.connection.execute(
                update(users).where(users.c.user_id == user_id).values(row)
            )
            return (await find_active(write.connection, user_id)).profile

        if value is not None and len(value) > longest:
            raise TooLarge(f"{field}: at most {longest} characters are allowed")
        await self._memberships.show_profile(user_id, await self._ledger.write(work))

"""The two presence router callbacks, as modules write them."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from lamplighter.presence.state import UserPresenceState

__all__ = ["PRESENCE_ALL_USERS", "GetInterestedUsers", "GetUsersForStates", "Register"]

#: The answer of `get_interested_users` for a viewer who may see all known users.
PRESENCE_ALL_USERS: Final = "ALL"

# A module may return anything, so the results are objects here; `answers.py` checks them.
GetUsersForStates: TypeAlias = Callable[[list[UserPresenceState]], Awaitable[object]]
GetInterestedUsers: TypeAlias = Callable[[str], Awaitable[object]]

#: Registers the callbacks of a module, given the name by which people know the module.
Register: TypeAlias = Callable[[str, GetUsersForStates, GetInterestedUsers], None]

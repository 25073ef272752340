"""The two presence router callbacks, as modules write them."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from lamplighter.presence.state import UserPresenceState

__all__ = ["PRESENCE_ALL_USERS", "GetInterestedUsers", "GetUsersForStates"]

#: What `get_interested_users` answers for a user who may see everybody known.
PRESENCE_ALL_USERS: Final = "ALL"

# Modules are not trusted to be right: what they really return is checked, so it is an object here.
GetUsersForStates: TypeAlias = Callable[[list[UserPresenceState]], Awaitable[object]]
GetInterestedUsers: TypeAlias = Callable[[str], Awaitable[object]]

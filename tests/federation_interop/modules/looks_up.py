"""A presence router module that both servers load, from this file: it looks things up.

When somebody's status message is `look`, it writes what the module API answers to `file`, as JSON.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synapse.module_api import ModuleApi, UserPresenceState

__all__ = ["LooksUp"]


class LooksUp:
    """Asks about `user`, `nobody` and `room`."""

    def __init__(self, config: dict[str, str], api: ModuleApi) -> None:
        self._config = config
        self._api = api
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, state_updates: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        """Send nothing to anybody."""
        if any(state.status_msg == "look" for state in state_updates):
            self._write(await self._found())
        return {}

    async def get_interested_users(self, user_id: str) -> set[str]:
        """Show nobody to anybody."""
        return set()

    def _write(self, found: dict[str, Any]) -> None:
        # A file that is there is whole.
        part = Path(self._config["file"] + ".part")
        part.write_text(json.dumps(found))
        part.rename(self._config["file"])

    async def _found(self) -> dict[str, Any]:
        api, user, nobody = self._api, self._config["user"], self._config["nobody"]
        profile = await api.get_profile_for_user(user.partition(":")[0][1:])
        info = await api.get_userinfo_by_id(user)
        state = await api.get_room_state(
            self._config["room"], [("m.room.name", ""), ("m.room.member", user)]
        )
        return {
            "profile": [profile.display_name, profile.avatar_url],
            "info": info and [str(info.user_id), bool(info.is_deactivated), bool(info.is_guest)],
            "no info": await api.get_userinfo_by_id(nobody),
            "exists": [await api.check_user_exists(it) for it in (user, nobody)],
            "admin": [await api.is_user_admin(it) for it in (user, nobody)],
            "name": state["m.room.name", ""].content["name"],
            "membership": state["m.room.member", user].membership,
            "mine": [api.is_mine(it) for it in (user, "@alice:elsewhere.example")],
        }

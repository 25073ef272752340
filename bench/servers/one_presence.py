"""A presence router module: one user is shown to many users, who are numbered."""

from collections.abc import Iterable
from typing import Any

from synapse.module_api import ModuleApi, UserPresenceState

from bench.matrix import user_id

__all__ = ["OnePresence"]


class OnePresence:
    """Shows user 0 to the users from 1 to `config["watchers"]`."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self._shown = user_id(0)
        self._watchers = frozenset(user_id(number) for number in range(1, config["watchers"] + 1))
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, state_updates: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        """Show the states of user 0 to all watchers."""
        told = {state for state in state_updates if state.user_id == self._shown}
        return dict.fromkeys(self._watchers, told) if told else {}

    async def get_interested_users(self, user_id: str) -> set[str]:
        """Show user 0 to each watcher."""
        return {self._shown} if user_id in self._watchers else set()

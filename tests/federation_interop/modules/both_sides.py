"""A presence router module that both servers load, from this file, with the same configuration.

It shows users to viewers of any server:

    shows: {"@viewer:one.example": ["@user:two.example"]}
"""

from collections.abc import Iterable

from synapse.module_api import ModuleApi, UserPresenceState

__all__ = ["BothSides"]

#: Viewer to the users that the viewer is shown.
Shows = dict[str, list[str]]


class BothSides:
    """Answers both callbacks from one table."""

    def __init__(self, config: dict[str, Shows], api: ModuleApi) -> None:
        self._shows = config["shows"]
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(
        self, state_updates: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        """Return the recipients of changed states."""
        states = list(state_updates)
        told = {
            viewer: {state for state in states if state.user_id in users}
            for viewer, users in self._shows.items()
        }
        return {viewer: seen for viewer, seen in told.items() if seen}

    async def get_interested_users(self, user_id: str) -> set[str]:
        """Return the users whom a viewer may see."""
        return set(self._shows.get(user_id, []))

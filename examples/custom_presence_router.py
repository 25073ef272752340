"""A presence router module: chosen users are shown to chosen viewers, whatever rooms they share.

    modules:
      - module: lamplighter_examples.custom_presence_router.CustomPresenceRouter
        config:
          shows:
            "@alice:example.org": ["@bob:example.org", "@charlie:elsewhere.org"]

It runs in Lamplighter and in Synapse, unchanged.
"""

from collections.abc import Iterable

from synapse.module_api import ModuleApi, UserPresenceState
from synapse.module_api.errors import ConfigError

__all__ = ["CustomPresenceRouter"]

#: Viewer to the users that the viewer is shown.
Shows = dict[str, set[str]]


class CustomPresenceRouter:
    """Shows users to viewers by its configuration."""

    def __init__(self, config: Shows, api: ModuleApi) -> None:
        self._shows = config
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    @staticmethod
    def parse_config(config: dict[str, object]) -> Shows:
        """Return what to show to whom; this becomes the first argument of `__init__`."""
        shows = config.get("shows")
        if not isinstance(shows, dict) or not all(isinstance(it, list) for it in shows.values()):
            raise ConfigError("give a mapping from viewers to lists of users", ("shows",))
        return {viewer: set(users) for viewer, users in shows.items()}

    async def get_users_for_states(
        self, state_updates: Iterable[UserPresenceState]
    ) -> dict[str, set[UserPresenceState]]:
        """The states of some users have changed: return who else gets them."""
        told: dict[str, set[UserPresenceState]] = {}
        for state in state_updates:
            for viewer, users in self._shows.items():
                if state.user_id in users:
                    told.setdefault(viewer, set()).add(state)
        return told

    async def get_interested_users(self, user_id: str) -> set[str]:
        """A viewer asks for presence: return who else is visible. It must agree with the above."""
        return self._shows.get(user_id, set())

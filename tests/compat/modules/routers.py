# mypy: ignore-errors
"""Routers in today's style, without faults.

`Routes`, `MoreRoutes` (two modules may overlap): `routes: {receiver: [sender, ...]}`.
`AllUsers`: `viewers: [user, ...]` may see all users.
`Altering`: `viewers: [user, ...]` get no status messages, or the text of `say:` instead.
`Evolving`: as `Altering`, with the function of attrs that `say:` chooses.
"""

from collections.abc import Iterable

import attr
import attrs
from synapse.api.presence import UserPresenceState
from synapse.module_api import PRESENCE_ALL_USERS, ModuleApi
from synapse.module_api.errors import ConfigError


class Routes:
    def __init__(self, config: dict, api: ModuleApi):
        self.routes = config["routes"]
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    @classmethod
    def parse_config(cls, config: dict) -> dict:
        if not isinstance(config.get("routes"), dict):
            raise ConfigError("give a mapping from receiver to senders", path=("routes",))
        return config

    async def get_users_for_states(
        self, state_updates: Iterable["UserPresenceState"]
    ) -> dict[str, set["UserPresenceState"]]:
        result: dict[str, set[UserPresenceState]] = {}
        for state in state_updates:
            for receiver, senders in self.routes.items():
                if state.user_id in senders:
                    result.setdefault(receiver, set()).add(state)
        return result

    async def get_interested_users(self, user_id: str) -> set[str]:
        return set(self.routes.get(user_id, ()))


class MoreRoutes(Routes):
    pass


class AllUsers:
    def __init__(self, config: dict, api: ModuleApi):
        self.viewers = set(config["viewers"])
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates):
        return {viewer: set(state_updates) for viewer in self.viewers}

    async def get_interested_users(self, user_id: str):
        return PRESENCE_ALL_USERS if user_id in self.viewers else set()


class Altering:
    def __init__(self, config: dict, api: ModuleApi):
        self.viewers = set(config["viewers"])
        self.say = config.get("say")
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates):
        altered = {state.copy_and_replace(status_msg=self.say) for state in state_updates}
        return dict.fromkeys(self.viewers, altered)

    async def get_interested_users(self, user_id: str):
        return set()


class Evolving(Altering):
    WAYS = (
        lambda state, **fields: attr.evolve(state, **fields),
        lambda state, **fields: attrs.evolve(state, **fields),
        lambda state, **fields: UserPresenceState(**{**attr.asdict(state), **fields}),
        lambda state, **fields: type(state)(*attr.astuple(attr.evolve(state, **fields))),
    )

    async def get_users_for_states(self, state_updates):
        way = self.WAYS[int(self.say)]
        altered = {way(state, status_msg=None) for state in sorted(state_updates)}
        return dict.fromkeys(self.viewers, altered)

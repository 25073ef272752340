# mypy: ignore-errors
"""Routers in the older style, `presence: {presence_router: ...}`: two methods, found by name.

Configuration: `routes: {receiver: [sender, ...]}`.
"""

from synapse.handlers.presence import UserPresenceState


class SyncRouter:
    """Its methods are plain functions."""

    def __init__(self, *, config, module_api):
        self.module_api = module_api
        self.routes = config["routes"]

    @staticmethod
    def parse_config(config_dict):
        return {"routes": {user: set(senders) for user, senders in config_dict["routes"].items()}}

    def get_users_for_states(self, state_updates) -> dict[str, set[UserPresenceState]]:
        return {
            receiver: {state for state in state_updates if state.user_id in senders}
            for receiver, senders in self.routes.items()
        }

    def get_interested_users(self, user_id):
        return self.routes.get(user_id, set())


class AsyncRouter(SyncRouter):
    """Its methods are async."""

    async def get_users_for_states(self, state_updates):
        return super().get_users_for_states(state_updates)

    async def get_interested_users(self, user_id):
        return super().get_interested_users(user_id)


class RegisteringRouter(AsyncRouter):
    """It is loaded in the older style, but registers its callbacks itself."""

    def __init__(self, config, module_api):
        super().__init__(config=config, module_api=module_api)
        module_api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )


class HalfRouter:
    """It has one of the two methods only."""

    def __init__(self, config, module_api):
        pass

    async def get_interested_users(self, user_id):
        return set()

# mypy: ignore-errors
"""Routers that answer when the test lets them.

`Held`: `routes: {receiver: [sender, ...]}`, with `say: text` as the status message. Callbacks in
`waits:` answer once the test calls `let_go`. With
`named: {viewer: [user, ...]}` it answers `get_interested_users` by that instead of the routes.
`routes` or `named` of None makes the callback raise.
`Hiding`: as `Held`, but shows the users as if they did not exist.
"""

import asyncio

from synapse.module_api import ModuleApi


class Held:
    def __init__(self, config: dict, api: ModuleApi):
        self.routes = config["routes"]
        self.named = config.get("named", self.routes)
        self.say = config.get("say")
        self.waits = set(config.get("waits", ()))
        #: The questions: the user ID, or the list of (user ID, status message).
        self.asked = []
        #: An event for each question that waits, in order.
        self.gates = []
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    def let_go(self) -> None:
        """Answer everything that was asked so far."""
        for gate in self.gates:
            gate.set()

    async def get_users_for_states(self, state_updates):
        self.asked.append([(state.user_id, state.status_msg) for state in state_updates])
        await self._wait("get_users_for_states")
        return {
            receiver: {self._shown(state) for state in state_updates if state.user_id in senders}
            for receiver, senders in self.routes.items()
        }

    async def get_interested_users(self, user_id):
        self.asked.append(user_id)
        await self._wait("get_interested_users")
        named = self.named.get(user_id, ())
        return named if isinstance(named, str) else set(named)

    async def _wait(self, callback) -> None:
        if callback in self.waits:
            gate = asyncio.Event()
            self.gates.append(gate)
            await gate.wait()

    def _shown(self, state):
        return state if self.say is None else state.copy_and_replace(status_msg=self.say)


class Hiding(Held):
    def _shown(self, state):
        return state.default(state.user_id)

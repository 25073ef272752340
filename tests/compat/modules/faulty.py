# mypy: ignore-errors
"""Routers that do what no module should.

`Raising`: `in: [get_users_for_states, get_interested_users]`, where it raises (default: both).
`WrongTypes`: `answer:` is a key of ANSWERS, and `receiver:` the viewer in the answer.
`Hanging`: `in:` as above, where it never answers; with `stubborn: true` it cannot be cancelled.
`Malformed`: names malformed user IDs and, with `unknown: [user, ...]`, unknown users.
"""

import asyncio

from synapse.api.presence import UserPresenceState
from synapse.module_api import ModuleApi

CALLBACKS = ("get_users_for_states", "get_interested_users")

#: What `WrongTypes` answers: (to get_users_for_states, to get_interested_users).
ANSWERS = {
    "none": (lambda user, states: None, lambda: None),
    "list": (lambda user, states: [user, *states], lambda: ["@bob:example.com"]),
    "string": (lambda user, states: user, lambda: "@bob:example.com"),
    "number": (lambda user, states: 7, lambda: 7),
    "values_are_lists": (lambda user, states: {user: list(states)}, lambda: ("@bob:example.com",)),
    "values_are_states": (lambda user, states: {user: states[0]}, lambda: {"@bob:example.com": 1}),
    "values_are_none": (lambda user, states: {user: None}, lambda: {None}),
    "sets_of_ids": (lambda user, states: {user: {s.user_id for s in states}}, lambda: {b"@b:e"}),
    "sets_of_others": (lambda user, states: {user: {7, None, "x", *states}}, lambda: {7, 8.5}),
    "keys_are_numbers": (lambda user, states: {7: set(states), None: set(states)}, lambda: True),
    "wrong_fields": (
        lambda user, states: {user: {UserPresenceState(7, 8, None, "x", [].__len__, 9, "yes")}},
        lambda: object(),
    ),
}


class _Router:
    def __init__(self, config: dict, api: ModuleApi):
        self.config = config
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates):
        return {}

    async def get_interested_users(self, user_id):
        return set()


class Raising(_Router):
    async def get_users_for_states(self, state_updates):
        return self._answer("get_users_for_states", {})

    async def get_interested_users(self, user_id):
        return self._answer("get_interested_users", set())

    def _answer(self, callback, answer):
        if callback in self.config.get("in", CALLBACKS):
            raise RuntimeError("this module always raises")
        return answer


class WrongTypes(_Router):
    async def get_users_for_states(self, state_updates):
        return ANSWERS[self.config["answer"]][0](self.config["receiver"], list(state_updates))

    async def get_interested_users(self, user_id):
        return ANSWERS[self.config["answer"]][1]()


class NotAsync(_Router):
    def get_users_for_states(self, state_updates):
        return {}

    def get_interested_users(self, user_id):
        return set()


class Hanging(_Router):
    async def get_users_for_states(self, state_updates):
        return await self._answer("get_users_for_states", {})

    async def get_interested_users(self, user_id):
        return await self._answer("get_interested_users", set())

    async def _answer(self, callback, answer):
        hangs = callback in self.config.get("in", CALLBACKS)
        while hangs:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                hangs = self.config.get("stubborn", False)
        return answer


class Malformed(_Router):
    NOBODY = ("", "@", "bob", "@bob", "!room:example.com", "@bob:", "@b b:example.com", "@x:y z")

    async def get_users_for_states(self, state_updates):
        return {user: set(state_updates) for user in self._users()}

    async def get_interested_users(self, user_id):
        return set(self._users())

    def _users(self):
        return [*self.NOBODY, *self.config.get("unknown", ())]

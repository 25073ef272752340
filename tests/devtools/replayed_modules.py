"""Modules to replay."""

from collections.abc import Sequence
from typing import Any, ClassVar

from lamplighter.modules.api import ModuleApi
from lamplighter.presence.state import UserPresenceState

States = Sequence[UserPresenceState]


class Rule:
    """Shows each viewer of `shows` some users, `say`ing something else; it may take its time."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self.api = api
        self.shows = config["shows"]
        self.say = config.get("say")
        self.sleeps = config.get("sleeps")
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states: States) -> dict[str, set[UserPresenceState]]:
        await self._sleep()
        return {
            viewer: {self._shown(it) for it in states if it.user_id in users}
            for viewer, users in self.shows.items()
        }

    async def get_interested_users(self, user_id: str) -> set[str]:
        await self._sleep()
        return set(self.shows.get(user_id, ()))

    async def _sleep(self) -> None:
        if self.sleeps:
            await self.api.sleep(self.sleeps)

    def _shown(self, state: UserPresenceState) -> UserPresenceState:
        return state.copy_and_replace(status_msg=self.say) if self.say else state


class Raising(Rule):
    async def get_users_for_states(self, states: States) -> dict[str, set[UserPresenceState]]:
        raise RuntimeError("no data")


class Ticking(Rule):
    ticks: ClassVar[list[int]] = []

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        super().__init__(config, api)
        self.ticks.clear()
        api.looping_background_call(self.tick, 10_000)

    async def tick(self) -> None:
        self.ticks.append(self.api.get_current_time_msec())
        await self.api.set_presence_for_users({"@bob:demo": ("online", None)})


class Listening(Rule):
    heard: ClassVar[list[list[str | None]]] = []

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        super().__init__(config, api)
        self.heard.clear()
        api.subscribe_to_presence(self.hear)

    async def hear(self, states: States) -> None:
        now = await self.api.get_presence_for_users(["@bob:demo"])
        self.heard.append([states[0].status_msg, now["@bob:demo"].status_msg])


class Asking(Rule):
    answers: ClassVar[list[object]] = []

    async def get_users_for_states(self, states: States) -> dict[str, set[UserPresenceState]]:
        self.answers.clear()
        for name in ("alice", "bob", "charlie", "nobody"):
            self.answers.append(await self.api.check_user_exists(f"@{name}:demo"))
        data = await self.api.account_data_manager.get_global("@alice:demo", "some")
        self.answers.append(data)
        state = await self.api.get_room_state("!hall:demo")
        self.answers.append(dict(state) or None)
        return {}

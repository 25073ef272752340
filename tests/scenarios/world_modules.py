"""The modules of the random worlds: each answers by its rule in `rules`, and thinks before."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from lamplighter.modules.api import ModuleApi
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.callbacks import PRESENCE_ALL_USERS
from tests.scenarios.worlds import Rules, altered_message

T = TypeVar("T")

States: TypeAlias = Sequence[UserPresenceState]
Answer: TypeAlias = dict[str, set[UserPresenceState]]


class _Module:
    """Shows by both callbacks, unless one of them is written anew."""

    def __init__(self, config: Mapping[str, Rules], api: ModuleApi) -> None:
        self.rules = config["rules"]
        self.name = type(self).__name__
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, state_updates: States) -> Answer:
        return await self.after_thinking(lambda: self.routes(state_updates))

    async def get_interested_users(self, user_id: str) -> set[str] | str:
        return await self.after_thinking(lambda: self.named(user_id))

    async def after_thinking(self, answer: Callable[[], T]) -> T:
        before = answer()
        await self.rules.think(self.name)
        return before if self.rules.early else answer()

    def routes(self, states: States) -> Answer:
        pairs = self.rules.pairs[self.name]
        viewers = {viewer for viewer, _ in pairs}
        return {
            viewer: {self.state(s, viewer) for s in states if (viewer, s.user_id) in pairs}
            for viewer in viewers
        }

    def state(self, state: UserPresenceState, viewer: str) -> UserPresenceState:
        return state

    def named(self, user_id: str) -> set[str] | str:
        return {sender for viewer, sender in self.rules.pairs[self.name] if viewer == user_id}


class Routing(_Module):
    """Answers both callbacks alike, as a module should."""


class Pushing(_Module):
    def named(self, user_id: str) -> set[str] | str:
        return set()


class Naming(_Module):
    def routes(self, states: States) -> Answer:
        return {}


class SeeingAll(Naming):
    def named(self, user_id: str) -> set[str] | str:
        return PRESENCE_ALL_USERS if super().named(user_id) else set()


class Altering(Pushing):
    async def get_users_for_states(self, state_updates: States) -> Answer:
        answer = await super().get_users_for_states(state_updates)
        told = set(state_updates)
        for viewer, states in answer.items():
            pairs = {(viewer, state.user_id): state in told for state in states}
            self.rules.altered -= {pair for pair, as_it_is in pairs.items() if as_it_is}
            self.rules.altered |= {pair for pair, as_it_is in pairs.items() if not as_it_is}
        return answer

    def state(self, state: UserPresenceState, viewer: str) -> UserPresenceState:
        if state.state == "offline" and not state.status_msg:
            return state
        return state.copy_and_replace(status_msg=altered_message(state.status_msg, viewer))


class Raising(_Module):
    def routes(self, states: States) -> Answer:
        raise RuntimeError("this module always raises")

    def named(self, user_id: str) -> set[str] | str:
        raise RuntimeError("this module always raises")

"""Modules for servers in processes of their own: what they do shows from outside."""

import asyncio
import threading
from typing import Any

__all__ = ["Clinging", "Discreet", "Failing", "Frank"]


class Clinging:
    """Leaves behind threads that never end, and a task that cannot be cancelled."""

    def __init__(self, config: object, api: Any) -> None:
        threading.Thread(target=_for_ever, name="clinging").start()
        api.run_as_background_process("a thread of the loop", asyncio.to_thread, _for_ever)
        api.run_as_background_process("stubborn", _stubborn)


def _for_ever() -> None:
    threading.Event().wait()


async def _stubborn() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


class Discreet:
    """Shows one user to one viewer, without a status message."""

    def __init__(self, config: dict[str, str], api: Any) -> None:
        self._viewer, self._user = config["viewer"], config["user"]
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states: list[Any]) -> dict[str, set[Any]]:
        own = (state for state in states if state.user_id == self._user)
        return {self._viewer: {state.copy_and_replace(status_msg=None) for state in own}}

    async def get_interested_users(self, user_id: str) -> set[str]:
        return {self._user} if user_id == self._viewer else set()


class Frank(Discreet):
    """Shows one user to one viewer as they are."""

    async def get_users_for_states(self, states: list[Any]) -> dict[str, set[Any]]:
        return {self._viewer: {state for state in states if state.user_id == self._user}}


class Failing:
    """Raises, whatever it is asked."""

    def __init__(self, config: object, api: Any) -> None:
        api.register_presence_router_callbacks(
            get_users_for_states=self._fail, get_interested_users=self._fail
        )

    async def _fail(self, asked: object) -> Any:
        raise RuntimeError("out of order")

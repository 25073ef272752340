"""Modules for servers in processes of their own: what they do shows from outside."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Clinging", "Destructive", "Discreet", "Failing", "Frank"]


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


class Silent:
    """Never answers."""

    def __init__(self, config: object, api: Any) -> None:
        api.register_presence_router_callbacks(
            get_users_for_states=self._think, get_interested_users=self._think
        )

    async def _think(self, asked: object) -> Any:
        await asyncio.Event().wait()


class Destructive:
    """Names everybody, and does what the file `deed` says, once it is there, and how.

    It does so in a task of its own, in a callback of the loop, in the background, or in a callback
    that a thread has asked for.
    """

    def __init__(self, config: dict[str, str], api: Any) -> None:
        self._deed = Path(config["deed"])
        self._api = api
        self._tasks: list[asyncio.Task[None]] = []
        api.looping_background_call(self._look, 50)
        api.register_presence_router_callbacks(
            get_users_for_states=self.get_users_for_states,
            get_interested_users=self.get_interested_users,
        )

    async def get_users_for_states(self, states: list[Any]) -> dict[str, set[Any]]:
        return {}

    async def get_interested_users(self, user_id: str) -> str:
        return "ALL"

    def _look(self) -> None:
        if self._deed.exists():
            deed, way = self._deed.read_text().split()
            self._deed.unlink()
            logging.getLogger(__name__).warning("begins: %s %s", deed, way)
            self._begin(getattr(self, f"_{deed}"), way)

    def _begin(self, deed: Callable[[], None], way: str) -> None:
        async def do() -> None:
            deed()

        loop = asyncio.get_running_loop()
        if way == "task":
            self._tasks.append(asyncio.create_task(do()))
        elif way == "callback":
            loop.call_later(0.01, deed)
        elif way == "background":
            self._api.run_in_background(deed)
        else:
            threading.Thread(target=loop.call_soon_threadsafe, args=(deed,)).start()

    def _exit(self) -> None:
        raise SystemExit(3)

    def _interrupt(self) -> None:
        raise KeyboardInterrupt

    def _stop(self) -> None:
        asyncio.get_event_loop().stop()

    def _cancel(self) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

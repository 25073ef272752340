"""Modules that do not let go, for servers that are told to stop."""

import asyncio
import threading
from typing import Any

__all__ = ["Clinging"]


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

"""What both Matrix servers are told in the same words.

The presence router module is the one in `examples/`, unchanged.
"""

from collections.abc import Mapping
from typing import Any, Final

from bench.matrix import user_id
from bench.shapes import Shape

__all__ = ["modules_for", "presence_for"]

#: Nobody goes offline before they are connected, however long that takes a server.
_PRESENCE: Final[Mapping[str, Any]] = {"enabled": True, "sync_online_timeout": "10m"}
#: Nobody's activity runs out in the middle of a run, which would add updates of the server's own.
_ACTIVE_FOR_LONG: Final = {"last_active_granularity": "1h", "idle_timeout": "2h"}


#: Servers find it with the top of the project in `PYTHONPATH`.
_MODULE: Final = "examples.custom_presence_router.CustomPresenceRouter"


def presence_for(shape: Shape) -> dict[str, Any]:
    """Return what the configuration says of presence.

    Where each poll is an activity the timers are as usual: they decide what a poll costs.
    """
    return {**_PRESENCE, **({} if shape.client.is_always_active else _ACTIVE_FOR_LONG)}


def modules_for(shape: Shape) -> list[dict[str, Any]]:
    """Return the configuration's list of modules: none if no user is shown to anybody."""
    shows = {user_id(viewer): [user_id(it) for it in users] for viewer, users in shape.shown}
    return [{"module": _MODULE, "config": {"shows": shows}}] if shows else []

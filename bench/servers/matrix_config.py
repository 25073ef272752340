"""The part of the configuration that both Matrix servers share.

The presence router module is the one in `examples/`, unchanged.
"""

from collections.abc import Mapping
from typing import Any, Final

from bench.matrix import user_id
from bench.shapes import Shape

__all__ = ["modules_for", "presence_for"]

#: No user goes offline before all are connected, which takes some servers long.
_PRESENCE: Final[Mapping[str, Any]] = {"enabled": True, "sync_online_timeout": "10m"}
#: No user becomes idle in the middle of a run: that would add changes that no publisher made.
_ACTIVE_FOR_LONG: Final = {"last_active_granularity": "1h", "idle_timeout": "2h"}


#: `PYTHONPATH` holds the top of the project, so servers find it.
_MODULE: Final = "examples.custom_presence_router.CustomPresenceRouter"


def presence_for(shape: Shape) -> dict[str, Any]:
    """Return the `presence` section.

    A client whose polls are activities keeps the usual timers, since they decide its costs.
    """
    return {**_PRESENCE, **({} if shape.client.is_always_active else _ACTIVE_FOR_LONG)}


def modules_for(shape: Shape) -> list[dict[str, Any]]:
    """Return the `modules` list: empty if the shape shows no user to anybody."""
    shows = {user_id(viewer): [user_id(it) for it in users] for viewer, users in shape.shown}
    return [{"module": _MODULE, "config": {"shows": shows}}] if shows else []

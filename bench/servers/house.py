"""What both Matrix servers are told in the same words.

The presence router module is the one in `examples/`, unchanged.
"""

from collections.abc import Mapping
from typing import Any, Final

from bench.matrix import user_id
from bench.shapes import Shape

__all__ = ["PRESENCE", "modules_for"]

#: Nobody goes offline before they are connected, however long that takes a server.
PRESENCE: Final[Mapping[str, Any]] = {"enabled": True, "sync_online_timeout": "10m"}


#: Servers find it with the top of the project in `PYTHONPATH`.
_MODULE: Final = "examples.custom_presence_router.CustomPresenceRouter"


def modules_for(shape: Shape) -> list[dict[str, Any]]:
    """Return the configuration's list of modules: none if no user is shown to anybody."""
    shows = {user_id(viewer): [user_id(it) for it in users] for viewer, users in shape.shown}
    return [{"module": _MODULE, "config": {"shows": shows}}] if shows else []

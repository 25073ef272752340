"""Names of `synapse.module_api` that only callbacks of other kinds use.

A presence router that registers callbacks of other kinds as well imports the types of their
arguments and results. The server never calls these callbacks, so the names have no behaviour.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

__all__ = ["OTHER_KINDS"]


class _Absent(Enum):
    """The type of the value that stands for no value."""

    TOKEN = "absent"


def _record(name: str) -> type:
    """Return a class whose objects have the keyword arguments as attributes."""

    def __init__(self: Any, **fields: Any) -> None:  # noqa: N807 - it becomes the method
        vars(self).update(fields)

    return type(name, (), {"__init__": __init__, "__doc__": "The server does not use this."})


OTHER_KINDS: Final[Mapping[str, object]] = {
    "NOT_SPAM": "NOT_SPAM",
    "AbsentType": _Absent,
    "Absent": _Absent.TOKEN,
    # Synapse has dictionaries with known keys in these places.
    "LoginResponse": dict,
    "MediaUploadLimit": _record("MediaUploadLimit"),
    "PublicRoomListManager": _record("PublicRoomListManager"),
    "RatelimitOverride": _record("RatelimitOverride"),
    "UserIpAndAgent": dict,
    "UserProfile": dict,
}

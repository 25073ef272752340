"""Names of `synapse.module_api` that only callbacks of other kinds use.

A presence router may register callbacks of another kind too, and imports what these return or are
given. Nothing here calls them, so the names say what they are, and do no more.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

__all__ = ["OTHER_KINDS"]


class _Absent(Enum):
    """What stands where no value is."""

    TOKEN = "absent"


def _record(name: str) -> type:
    """Return a class that keeps what it is made with, by the names that are given."""

    def __init__(self: Any, **fields: Any) -> None:  # noqa: N807 - it becomes the method
        vars(self).update(fields)

    return type(name, (), {"__init__": __init__, "__doc__": "Kept, and never looked at here."})


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

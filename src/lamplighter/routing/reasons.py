"""Why a viewer receives a user's presence.

Every recipient has a reason: the planner makes none without, and nothing else may deliver.
`str()` of a reason is a phrase for people.
"""

from dataclasses import dataclass
from typing import TypeAlias

from lamplighter.ids import RoomId

__all__ = ["AllUsers", "Module", "Reason", "Reasons", "Self", "SharedRoom"]


@dataclass(frozen=True, slots=True)
class Self:
    """The presence is the viewer's own."""

    def __str__(self) -> str:
        return "their own presence"


@dataclass(frozen=True, slots=True)
class SharedRoom:
    """Viewer and user are joined to this room, and the room is not excluded."""

    room_id: RoomId

    def __str__(self) -> str:
        return f"shared room {self.room_id}"


@dataclass(frozen=True, slots=True)
class Module:
    """A module names the viewer and the user together, in an answer of either callback."""

    name: str

    def __str__(self) -> str:
        return f"module {self.name}"


@dataclass(frozen=True, slots=True)
class AllUsers:
    """A module lets the viewer see all users."""

    module: str

    def __str__(self) -> str:
        return f"module {self.module}: sees all users"


Reason: TypeAlias = Self | SharedRoom | Module | AllUsers
Reasons: TypeAlias = tuple[Reason, ...]

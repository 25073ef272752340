"""Why somebody is told of somebody's presence.

A recipient without a reason does not exist: `plan` makes none, and nothing else may deliver.
`str()` of a reason is a phrase for people.
"""

from dataclasses import dataclass
from typing import TypeAlias

from lamplighter.ids import RoomId

__all__ = ["AllUsers", "Module", "Reason", "Reasons", "Self", "SharedRoom"]


@dataclass(frozen=True, slots=True)
class Self:
    """It is their own presence."""

    def __str__(self) -> str:
        return "their own presence"


@dataclass(frozen=True, slots=True)
class SharedRoom:
    """Both are joined to this room, and it is not excluded."""

    room_id: RoomId

    def __str__(self) -> str:
        return f"shared room {self.room_id}"


@dataclass(frozen=True, slots=True)
class Module:
    """A module named the recipient for this user, by either callback."""

    name: str

    def __str__(self) -> str:
        return f"module {self.name}"


@dataclass(frozen=True, slots=True)
class AllUsers:
    """A module lets the recipient see everybody."""

    module: str

    def __str__(self) -> str:
        return f"module {self.module}: sees all users"


Reason: TypeAlias = Self | SharedRoom | Module | AllUsers
Reasons: TypeAlias = tuple[Reason, ...]

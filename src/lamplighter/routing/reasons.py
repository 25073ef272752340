"""Why a viewer receives a user's presence.

Every recipient has a reason: the planner makes none without, and nothing else may deliver.
`str()` of a reason is a phrase for people. A record of decisions has reasons as arrays that begin
with the tag.
"""

from typing import TypeAlias

import msgspec

from lamplighter.ids import RoomId

__all__ = ["AllUsers", "Module", "Reason", "Reasons", "Self", "SharedRoom"]


class Self(msgspec.Struct, frozen=True, array_like=True, tag="self"):
    """The presence is the viewer's own."""

    def __str__(self) -> str:
        return "their own presence"


class SharedRoom(msgspec.Struct, frozen=True, array_like=True, tag="room"):
    """Viewer and user are joined to this room, and the room is not excluded."""

    room_id: RoomId

    def __str__(self) -> str:
        return f"shared room {self.room_id}"


class Module(msgspec.Struct, frozen=True, array_like=True, tag="module"):
    """A module names the viewer and the user together, in an answer of either callback."""

    name: str

    def __str__(self) -> str:
        return f"module {self.name}"


class AllUsers(msgspec.Struct, frozen=True, array_like=True, tag="all"):
    """A module lets the viewer see all users."""

    module: str

    def __str__(self) -> str:
        return f"module {self.module}: sees all users"


Reason: TypeAlias = Self | SharedRoom | Module | AllUsers
Reasons: TypeAlias = tuple[Reason, ...]

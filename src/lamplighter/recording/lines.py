"""The lines of the log, each a JSON array that begins with what it is.

Times are milliseconds since the epoch; users and rooms are numbers.
"""

from typing import TypeAlias

import msgspec

__all__ = [
    "AccountLine",
    "AllLine",
    "AwayLine",
    "BatchLine",
    "BeganLine",
    "GroupLine",
    "KnownLine",
    "LateLine",
    "Line",
    "LookingLine",
    "MetLine",
    "ModuleLine",
    "MovedLine",
    "NewRoomLine",
    "NewUserLine",
    "ReasonLine",
    "RoomLine",
    "SelfLine",
    "StateLine",
    "ToldLine",
    "ViewedLine",
]


class _Line(msgspec.Struct, array_like=True, frozen=True):
    pass


class SelfLine(_Line, tag="self", frozen=True):
    """It is their own presence."""


class RoomLine(_Line, tag="room", frozen=True):
    """They share a room."""

    room: int


class ModuleLine(_Line, tag="module", frozen=True):
    """A module says so."""

    name: str


class AllLine(_Line, tag="all", frozen=True):
    """A module lets them see all users."""

    module: str


ReasonLine: TypeAlias = SelfLine | RoomLine | ModuleLine | AllLine


class StateLine(_Line, frozen=True):
    """A user's presence."""

    user: int
    state: str
    last_active_ts: int
    last_federation_update_ts: int
    last_user_sync_ts: int
    status_msg: str | None
    currently_active: bool


class GroupLine(_Line, frozen=True):
    """Users who are seen, or who see, the same for the same reasons."""

    reasons: list[ReasonLine]
    users: list[int]
    altered: dict[str, str | int | bool | None] | None = None


class ToldLine(_Line, frozen=True):
    """Who was told of one user."""

    user: int
    groups: list[GroupLine]


class BeganLine(_Line, tag="began", frozen=True):
    """How the rest is to be read."""

    at: int
    version: int
    server_name: str
    module_timeout: int


class NewUserLine(_Line, tag="user", frozen=True):
    """The next number stands for this user."""

    user_id: str


class NewRoomLine(_Line, tag="new_room", frozen=True):
    """The next number stands for this room."""

    room_id: str


class AccountLine(_Line, tag="account", frozen=True):
    """An account exists."""

    at: int
    user: int
    created_ts: int
    is_admin: bool
    is_deactivated: bool


class KnownLine(_Line, tag="known", frozen=True):
    """How users are."""

    at: int
    states: list[StateLine]


class LookingLine(_Line, tag="looking", frozen=True):
    """Who is told from now on."""

    at: int
    users: list[int]


class AwayLine(_Line, tag="away", frozen=True):
    """Who is told no more."""

    at: int
    users: list[int]


class MovedLine(_Line, tag="moved", frozen=True):
    """A join, or its end."""

    at: int
    room: int
    user: int
    joined: bool


class BatchLine(_Line, tag="batch", frozen=True):
    """Changes, and whom they were told."""

    at: int
    position: int
    states: list[StateLine]
    told: list[ToldLine]


class LateLine(_Line, tag="late", frozen=True):
    """What was told of a batch later."""

    at: int
    about: int
    told: list[ToldLine]


class MetLine(_Line, tag="met", frozen=True):
    """Who was told of whom, having met."""

    at: int
    told: list[ToldLine]


class ViewedLine(_Line, tag="viewed", frozen=True):
    """What somebody saw who looked."""

    at: int
    viewer: int
    looks: bool
    users: list[int] | None
    sights: list[GroupLine]


Line: TypeAlias = (
    BeganLine
    | NewUserLine
    | NewRoomLine
    | AccountLine
    | KnownLine
    | LookingLine
    | AwayLine
    | MovedLine
    | BatchLine
    | LateLine
    | MetLine
    | ViewedLine
)

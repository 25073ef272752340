"""What the log tells of, in the order in which it happened.

A decision stands beside what it was made of: who was how, who was in which room, and who looked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from lamplighter.clock import Timestamp
from lamplighter.ids import RoomId, ServerName, StreamPosition, UserId
from lamplighter.ports import Account
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.reasons import Reasons

__all__ = [
    "AS_THEY_ARE",
    "Accounts",
    "Alteration",
    "Away",
    "Batch",
    "Began",
    "Event",
    "Known",
    "Late",
    "Looking",
    "Met",
    "Moved",
    "Sight",
    "Told",
    "Viewed",
    "alteration",
]

#: What of somebody's presence is shown otherwise than it is: field and value, by field.
Alteration: TypeAlias = tuple[tuple[str, str | int | bool | None], ...]
AS_THEY_ARE: Alteration = ()

#: What somebody sees of somebody, and why.
Sight: TypeAlias = tuple[Alteration, Reasons]

#: Who was told of one user, and what they see.
Told: TypeAlias = Mapping[UserId, Mapping[UserId, Sight]]


@dataclass(frozen=True, slots=True)
class Began:
    """A server has begun to record, or a file has begun: what comes says how everything stands."""

    at: Timestamp
    server_name: ServerName
    #: So long after a batch, what modules answer late may still come.
    module_timeout: timedelta


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts of this server that exist."""

    at: Timestamp
    accounts: Sequence[Account]


@dataclass(frozen=True, slots=True)
class Known:
    """How users are, which nobody decides anything about now."""

    at: Timestamp
    states: Sequence[UserPresenceState]


@dataclass(frozen=True, slots=True)
class Looking:
    """Who is told as things happen, from now on."""

    at: Timestamp
    viewers: Sequence[UserId]


@dataclass(frozen=True, slots=True)
class Away:
    """Who is not told any more as things happen."""

    at: Timestamp
    viewers: Sequence[UserId]


@dataclass(frozen=True, slots=True)
class Moved:
    """A user has begun to be joined to a room, or has stopped."""

    at: Timestamp
    room_id: RoomId
    user_id: UserId
    joined: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Users have changed: whom was that told, user by user."""

    at: Timestamp
    position: StreamPosition
    states: Sequence[UserPresenceState]
    told: Told


@dataclass(frozen=True, slots=True)
class Late:
    """What a module has added to a batch after it was told."""

    at: Timestamp
    about: StreamPosition
    told: Told


@dataclass(frozen=True, slots=True)
class Met:
    """People have come into each other's sight, and were told how they are."""

    at: Timestamp
    told: Told


@dataclass(frozen=True, slots=True)
class Viewed:
    """Somebody was answered from scratch, about *users*: about everybody if None."""

    at: Timestamp
    viewer: UserId
    #: Whether they are told from now on as things happen.
    looks: bool
    users: Sequence[UserId] | None
    sights: Mapping[UserId, Sight]


Event: TypeAlias = Began | Accounts | Known | Looking | Away | Moved | Batch | Late | Met | Viewed


def alteration(shown: UserPresenceState, base: UserPresenceState) -> Alteration:
    """Return in what clients are shown *base* otherwise than it is."""
    if shown is base:  # of nearly everybody, and so this costs nearly nothing
        return AS_THEY_ARE
    return tuple(
        (name, value)
        for name in ("currently_active", "last_active_ts", "state", "status_msg")
        if (value := getattr(shown, name)) != getattr(base, name)
    )

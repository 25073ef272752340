"""What a record tells of, in the order in which it happened, and how it is written.

A decision stands beside what it was made of: who was how, who was in which room, and who looked.
Each event is written as its fields, in their order, after the name of its kind. Times are
milliseconds since the epoch. A new field, or another order, takes another `VERSION`.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import RoomId, ServerName, StreamPosition, UserId
from lamplighter.ports import Account
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.plan import Delivery
from lamplighter.routing.reasons import Reason, Reasons

__all__ = [
    "AS_THEY_ARE",
    "VERSION",
    "Alteration",
    "Away",
    "Began",
    "Known",
    "KnownAccounts",
    "Looking",
    "Met",
    "Moved",
    "RecordedBatch",
    "RecordedEvent",
    "RecordedLate",
    "Seen",
    "SeenAlike",
    "Told",
    "ToldOf",
    "Viewed",
    "alteration",
    "grouped",
    "seen_in",
    "told_by",
    "told_in",
    "told_to",
]

#: The form of the events below.
VERSION: Final = 2

#: In which fields somebody's presence is shown otherwise than it is: field and value.
Alteration: TypeAlias = tuple[tuple[str, str | int | bool | None], ...]
AS_THEY_ARE: Alteration = ()

#: How a viewer sees a user, and why.
Seen: TypeAlias = tuple[Alteration, Reasons]

#: Who was told of each user, and how they see the user.
Told: TypeAlias = Mapping[UserId, Mapping[UserId, Seen]]


class _Recorded(msgspec.Struct, array_like=True, frozen=True):
    pass


class SeenAlike(_Recorded, frozen=True):
    """Users who are seen, or who see, alike and for the same reasons."""

    reasons: tuple[Reason, ...]
    users: list[UserId]
    altered: Alteration = AS_THEY_ARE


class ToldOf(_Recorded, frozen=True):
    """Who was told of one user."""

    user_id: UserId
    viewers: list[SeenAlike]


class _Event(_Recorded, frozen=True):
    at: Timestamp


class Began(_Event, tag="began", frozen=True):
    """A server has begun to record, or a file has begun: what comes says how everything stands."""

    version: int
    server_name: ServerName
    #: How many milliseconds after a batch the late answers of modules may still come.
    module_timeout: int


class KnownAccounts(_Event, tag="accounts", frozen=True):
    """Accounts of this server that exist."""

    accounts: list[Account]


class Known(_Event, tag="known", frozen=True):
    """How users are, about whom nothing is decided now."""

    states: list[UserPresenceState]


class Looking(_Event, tag="looking", frozen=True):
    """Viewers who are told as things happen, from now on."""

    viewers: list[UserId]


class Away(_Event, tag="away", frozen=True):
    """Viewers who are no longer told as things happen."""

    viewers: list[UserId]


class Moved(_Event, tag="moved", frozen=True):
    """A user has begun to be joined to a room, or has stopped."""

    room_id: RoomId
    user_id: UserId
    joined: bool


class RecordedBatch(_Event, tag="batch", frozen=True):
    """Users have changed, and viewers were told."""

    position: StreamPosition
    states: list[UserPresenceState]
    told: list[ToldOf]


class RecordedLate(_Event, tag="late", frozen=True):
    """What a module has added to a batch after it was told."""

    about: StreamPosition
    told: list[ToldOf]


class Met(_Event, tag="met", frozen=True):
    """Users have become visible to each other, and were told how they are."""

    told: list[ToldOf]


class Viewed(_Event, tag="viewed", frozen=True):
    """A viewer was answered from scratch, about *users*: about everybody if None."""

    viewer: UserId
    #: Whether the viewer is told from now on as things happen.
    looks: bool
    users: list[UserId] | None
    seen: list[SeenAlike]


RecordedEvent: TypeAlias = (
    Began
    | KnownAccounts
    | Known
    | Looking
    | Away
    | Moved
    | RecordedBatch
    | RecordedLate
    | Met
    | Viewed
)


def alteration(shown: UserPresenceState, base: UserPresenceState) -> Alteration:
    """Return in what clients are shown *base* otherwise than it is."""
    if shown is base:  # of nearly everybody, and so this costs nearly nothing
        return AS_THEY_ARE
    return tuple(
        (name, value)
        for name in ("currently_active", "last_active_ts", "state", "status_msg")
        if (value := getattr(shown, name)) != getattr(base, name)
    )


def grouped(seen: Mapping[UserId, Seen]) -> list[SeenAlike]:
    """Return *seen* in groups of users who see alike.

    Users share a group if their reasons are one object: to compare them would cost more.
    """
    groups: dict[tuple[Alteration, int], SeenAlike] = {}
    for user_id, (altered, reasons) in seen.items():
        group = groups.get((altered, id(reasons)))
        if group is None:
            group = groups[altered, id(reasons)] = SeenAlike(reasons, [], altered)
        group.users.append(user_id)
    return list(groups.values())


def told_by(
    deliveries: Iterable[Delivery], states: Iterable[UserPresenceState]
) -> dict[UserId, dict[UserId, Seen]]:
    """Return who is told of each user by *deliveries*, where the users are as in *states*."""
    base = {state.user_id: state for state in states}
    told: dict[UserId, dict[UserId, Seen]] = {}
    for delivery in deliveries:
        altered = alteration(delivery.state, base.get(delivery.user_id, delivery.state))
        seen = told.setdefault(delivery.user_id, {})
        seen.update((viewer, (altered, reasons)) for viewer, reasons in delivery.recipients.items())
    return told


def told_to(told: Told) -> list[ToldOf]:
    """Return *told* as it stands in an event."""
    return [ToldOf(user_id, grouped(seen)) for user_id, seen in told.items()]


def seen_in(groups: Iterable[SeenAlike]) -> dict[UserId, Seen]:
    """Return how each user of *groups* is seen, or sees."""
    return {it: (group.altered, group.reasons) for group in groups for it in group.users}


def told_in(told: Iterable[ToldOf]) -> dict[UserId, dict[UserId, Seen]]:
    """Return who was told of each user by an event."""
    return {it.user_id: seen_in(it.viewers) for it in told}

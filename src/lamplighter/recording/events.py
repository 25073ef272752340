"""The events of a record, in the order in which they happened.

The record has each decision, and everything from which the server made the decision: states, room
members, and which viewers get changes at once. An event is written as its tag and its fields, in
their order. Times are milliseconds since the epoch. Another field or order needs a new `VERSION`.
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

#: The fields in which a viewer gets another state than the real one: name and value.
Alteration: TypeAlias = tuple[tuple[str, str | int | bool | None], ...]
AS_THEY_ARE: Alteration = ()

#: What a viewer gets instead of the real state of a user, and why the user is visible.
Seen: TypeAlias = tuple[Alteration, Reasons]

#: User to recipients, each with what the recipient has got.
Told: TypeAlias = Mapping[UserId, Mapping[UserId, Seen]]


class _Recorded(msgspec.Struct, array_like=True, frozen=True):
    pass


class SeenAlike(_Recorded, frozen=True):
    """Users, or recipients, with the same alteration and the same reasons."""

    reasons: tuple[Reason, ...]
    users: list[UserId]
    altered: Alteration = AS_THEY_ARE


class ToldOf(_Recorded, frozen=True):
    """The recipients of one user's state."""

    user_id: UserId
    viewers: list[SeenAlike]


class _Event(_Recorded, frozen=True):
    at: Timestamp


class Began(_Event, tag="began", frozen=True):
    """A server has begun to record, or a file begins; the next events are the whole present."""

    version: int
    server_name: ServerName
    #: For how many milliseconds after a batch modules may still answer.
    module_timeout: int


class KnownAccounts(_Event, tag="accounts", frozen=True):
    """Accounts of this server that exist."""

    accounts: list[Account]


class Known(_Event, tag="known", frozen=True):
    """States of users, without a decision."""

    states: list[UserPresenceState]


class Looking(_Event, tag="looking", frozen=True):
    """Viewers who get changes at once from now on."""

    viewers: list[UserId]


class Away(_Event, tag="away", frozen=True):
    """Viewers who do not get changes at once any more."""

    viewers: list[UserId]


class Moved(_Event, tag="moved", frozen=True):
    """A user has joined or left a room."""

    room_id: RoomId
    user_id: UserId
    joined: bool


class RecordedBatch(_Event, tag="batch", frozen=True):
    """Users have changed, and the recipients got the changes."""

    position: StreamPosition
    states: list[UserPresenceState]
    told: list[ToldOf]


class RecordedLate(_Event, tag="late", frozen=True):
    """The recipients that a late answer of a module has added to a batch."""

    about: StreamPosition
    told: list[ToldOf]


class Met(_Event, tag="met", frozen=True):
    """Users have become visible to each other, and got each other's states."""

    told: list[ToldOf]


class Viewed(_Event, tag="viewed", frozen=True):
    """A viewer got an answer from scratch about *users*; None: about all visible users."""

    viewer: UserId
    #: Whether the viewer gets changes at once from now on.
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
    """Return in which fields that clients see *shown* differs from *base*."""
    if shown is base:  # nearly always
        return AS_THEY_ARE
    return tuple(
        (name, value)
        for name in ("currently_active", "last_active_ts", "state", "status_msg")
        if (value := getattr(shown, name)) != getattr(base, name)
    )


def grouped(seen: Mapping[UserId, Seen]) -> list[SeenAlike]:
    """Return *seen* in groups with the same alteration and reasons.

    Only reasons that are the same object share a group: a comparison would cost more.
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
    """Return the recipients of *deliveries*, where *states* are the real states."""
    base = {state.user_id: state for state in states}
    told: dict[UserId, dict[UserId, Seen]] = {}
    for delivery in deliveries:
        altered = alteration(delivery.state, base.get(delivery.user_id, delivery.state))
        seen = told.setdefault(delivery.user_id, {})
        seen.update((viewer, (altered, reasons)) for viewer, reasons in delivery.recipients.items())
    return told


def told_to(told: Told) -> list[ToldOf]:
    """Return *told* as a field of an event."""
    return [ToldOf(user_id, grouped(seen)) for user_id, seen in told.items()]


def seen_in(groups: Iterable[SeenAlike]) -> dict[UserId, Seen]:
    """Return each user of *groups* with the alteration and the reasons."""
    return {it: (group.altered, group.reasons) for group in groups for it in group.users}


def told_in(told: Iterable[ToldOf]) -> dict[UserId, dict[UserId, Seen]]:
    """Return the recipients from a field of an event."""
    return {it.user_id: seen_in(it.viewers) for it in told}

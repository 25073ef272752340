"""The events in the stream of the admin API, made from published batches."""

from itertools import islice
from typing import Final

import msgspec
import structlog

from lamplighter.cluster.positions import format_position
from lamplighter.errors import StorageUnavailable
from lamplighter.routing.reasons import SharedRoom
from lamplighter.service.room_names import RoomNames
from lamplighter.service.witness import Published
from lamplighter.web.admin.content import PresenceContent
from lamplighter.web.admin.visibility_content import Names, ReasonContent, reason_contents

__all__ = [
    "BatchEvent",
    "ChangeEvent",
    "ChangesContent",
    "FiguresEvent",
    "LostEvent",
    "RecipientEvent",
    "TellingEvent",
    "named_batch",
]

_log = structlog.get_logger(__name__)

#: How many recipients of one state are named; the others are only counted.
MOST_RECIPIENTS: Final = 20
#: How many changes, and how many delivered states, of one batch are shown.
MOST_CHANGES: Final = 50


class ChangeEvent(msgspec.Struct, frozen=True):
    """A change of a user's presence."""

    user_id: str
    #: The presence before.
    was: str
    presence: PresenceContent
    #: Why the change was announced.
    reason: str


class RecipientEvent(msgspec.Struct, frozen=True):
    """A recipient, with the reasons."""

    viewer: str
    reasons: list[ReasonContent]


class TellingEvent(msgspec.Struct, frozen=True):
    """A state, and the connected viewers to whom it was delivered."""

    user_id: str
    presence: PresenceContent
    #: The number of recipients; the list may be shorter.
    told: int
    recipients: list[RecipientEvent]


class BatchEvent(msgspec.Struct, frozen=True):
    """A published batch; without changes, a late answer of a module."""

    position: str
    changes: list[ChangeEvent]
    tellings: list[TellingEvent]
    #: How many changes and delivered states are left out.
    left_out: int


class ChangesContent(msgspec.Struct, frozen=True):
    """The last batches, the newest first."""

    batches: list[BatchEvent]


class FiguresEvent(msgspec.Struct, frozen=True):
    """The figures of the server, once a second."""

    at: int = msgspec.field(name="at_ts")
    users: dict[str, int]
    outboxes: int
    polls: int
    delivered: int
    syncs: int
    cpu_seconds: float


class LostEvent(msgspec.Struct, frozen=True):
    """The number of events that this slow listener has lost."""

    events: int


async def named_batch(published: Published, room_names: RoomNames) -> BatchEvent:
    """Return a published batch as an event, with the names of rooms if they can be looked up."""
    changes, tellings = published.changes, published.deliveries
    rooms = {
        reason.room_id
        for telling in tellings[:MOST_CHANGES]
        for reasons in islice(telling.recipients.values(), MOST_RECIPIENTS)
        for reason in reasons
        if isinstance(reason, SharedRoom)
    }
    names: Names
    try:
        names = await room_names.of(rooms)
    except StorageUnavailable as problem:
        _log.debug("the names of rooms cannot be looked up", problem=str(problem))
        names = {}
    return BatchEvent(
        format_position(published.position),
        [
            ChangeEvent(
                change.new.user_id,
                str(change.old.state),
                PresenceContent.of(change.new),
                change.reason.value,
            )
            for change in changes[:MOST_CHANGES]
        ],
        [
            TellingEvent(
                telling.user_id,
                PresenceContent.of(telling.state),
                len(telling.recipients),
                [
                    RecipientEvent(viewer, reason_contents(reasons, names))
                    for viewer, reasons in islice(telling.recipients.items(), MOST_RECIPIENTS)
                ],
            )
            for telling in tellings[:MOST_CHANGES]
        ],
        max(0, len(changes) - MOST_CHANGES) + max(0, len(tellings) - MOST_CHANGES),
    )

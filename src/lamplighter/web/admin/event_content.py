"""What the stream of the admin API says: its events, and how published batches become them."""

from itertools import islice
from typing import Final

import msgspec
import structlog

from lamplighter.cluster.positions import format_position
from lamplighter.errors import StorageUnavailable
from lamplighter.ids import RoomId
from lamplighter.presence.changes import Change
from lamplighter.routing.plan import Telling
from lamplighter.routing.reasons import SharedRoom
from lamplighter.service.census import Figures
from lamplighter.service.room_names import RoomNames
from lamplighter.service.witness import Published
from lamplighter.web.admin.content import PresenceContent, presence_content
from lamplighter.web.admin.sight_content import Names, ReasonContent, reason_contents

__all__ = [
    "BatchEvent",
    "ChangeEvent",
    "ChangesContent",
    "FiguresEvent",
    "LostEvent",
    "RecipientEvent",
    "TellingEvent",
    "batch_event",
    "figures_event",
    "named_batch",
    "rooms_in",
]

_log = structlog.get_logger(__name__)

#: So many recipients of one state are named; the rest is a number.
MOST_RECIPIENTS: Final = 20
#: So many changes, and so many tellings, of one batch are told.
MOST_CHANGES: Final = 50


class ChangeEvent(msgspec.Struct, frozen=True):
    """Somebody's presence has changed."""

    user_id: str
    #: The presence before.
    was: str
    presence: PresenceContent
    #: Why it is announced.
    reason: str


class RecipientEvent(msgspec.Struct, frozen=True):
    """Somebody is told, and why."""

    viewer: str
    reasons: list[ReasonContent]


class TellingEvent(msgspec.Struct, frozen=True):
    """One state, and who of those who are connected is told it."""

    user_id: str
    presence: PresenceContent
    #: How many are told; not all of them need be in the list.
    told: int
    recipients: list[RecipientEvent]


class BatchEvent(msgspec.Struct, frozen=True):
    """What was published together. Without changes, it is what modules added later."""

    position: str
    changes: list[ChangeEvent]
    tellings: list[TellingEvent]
    #: How many changes and tellings are left out.
    left_out: int


class ChangesContent(msgspec.Struct, frozen=True):
    """What was published last, the newest first."""

    batches: list[BatchEvent]


class FiguresEvent(msgspec.Struct, frozen=True):
    """How much there is of everything, once a second."""

    at_ts: int
    users: dict[str, int]
    outboxes: int
    polls: int
    delivered: int
    syncs: int
    cpu_seconds: float


class LostEvent(msgspec.Struct, frozen=True):
    """This listener was too slow, and so many events were left out."""

    events: int


def rooms_in(published: Published) -> set[RoomId]:
    """Return the rooms that `batch_event` names."""
    return {
        reason.room_id
        for telling in published.tellings[:MOST_CHANGES]
        for reasons in islice(telling.recipients.values(), MOST_RECIPIENTS)
        for reason in reasons
        if isinstance(reason, SharedRoom)
    }


def batch_event(published: Published, names: Names) -> BatchEvent:
    """Return what is told of a batch; *names* are what its rooms are called."""
    changes, tellings = published.changes, published.tellings
    left_out = max(0, len(changes) - MOST_CHANGES) + max(0, len(tellings) - MOST_CHANGES)
    return BatchEvent(
        format_position(published.position),
        [_change(change) for change in changes[:MOST_CHANGES]],
        [_telling(telling, names) for telling in tellings[:MOST_CHANGES]],
        left_out,
    )


async def named_batch(published: Published, room_names: RoomNames) -> BatchEvent:
    """Return what is told of a batch, rooms by their names where those can be looked up."""
    try:
        names = await room_names.of(rooms_in(published))
    except StorageUnavailable as problem:
        _log.debug("rooms have no names now", problem=str(problem))
        names = {}
    return batch_event(published, names)


def figures_event(figures: Figures) -> FiguresEvent:
    """Return *figures* as they are told."""
    return FiguresEvent(
        figures.at,
        {str(presence): number for presence, number in figures.users.items()},
        figures.outboxes,
        figures.polls,
        figures.delivered,
        figures.syncs,
        figures.cpu_seconds,
    )


def _change(change: Change) -> ChangeEvent:
    reason = change.reason.value
    return ChangeEvent(
        change.new.user_id, str(change.old.state), presence_content(change.new), reason
    )


def _telling(telling: Telling, names: Names) -> TellingEvent:
    recipients = [
        RecipientEvent(viewer, reason_contents(reasons, names))
        for viewer, reasons in islice(telling.recipients.items(), MOST_RECIPIENTS)
    ]
    presence = presence_content(telling.state)
    return TellingEvent(telling.user_id, presence, len(telling.recipients), recipients)

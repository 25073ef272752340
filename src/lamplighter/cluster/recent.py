"""What the log has told lately, for a node that starts: the database may not have it yet.

An owner saves a change after it is told. So a node that starts reads first where the log ends, then
the database, and puts the changes of the last minute on top, which the log has. Each node saves the
ends of visibility later, too, so the homeserver's news of that time are read: they say who has
joined and left. So are the users whom modules have ceased to show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from lamplighter.clock import after
from lamplighter.cluster.entries import (
    Changed,
    Entry,
    Forgotten,
    HomeserverNews,
    Refreshed,
    VisibilityEnded,
)
from lamplighter.cluster.log import ClusterStanding, Lease, Log, MessageId, ToldToAll
from lamplighter.cluster.positions import at_time
from lamplighter.cluster.wire import WireRecord, decode_record
from lamplighter.ids import StreamPosition, UserId
from lamplighter.ports import SavedPresence
from lamplighter.presence.machine import TrackedUser
from lamplighter.presence.state import UserPresenceState

__all__ = [
    "RECENT",
    "RecentRecord",
    "ended_of",
    "news_of",
    "read_recent",
    "unsure_of",
    "with_recent",
]

#: Longer than an owner takes to save a change, and a node to save what has ended, unless the
#: database is away.
RECENT: Final = timedelta(seconds=75)


@dataclass(frozen=True, slots=True)
class RecentRecord:
    """A record of the log, and the position of each of its entries."""

    positions: Sequence[StreamPosition]
    content: WireRecord


async def read_recent(log: Log, lease: Lease, standing: ClusterStanding) -> Sequence[RecentRecord]:
    """Return the records shortly before `standing.head`.

    Raises `ClusterUnavailable`, and `ClusterRefused` for a record of a later form.
    """
    position = max(_recent(standing), standing.complete_after)
    records: list[ToldToAll] = []
    while position < standing.head:
        news = await log.read(lease, position, MessageId(""), timedelta(0))
        if not news.records:
            break
        position = news.records[-1].position
        records += (it for it in news.records if isinstance(it, ToldToAll))
    return [
        RecentRecord(it.positions, decode_record(it.payload))
        for it in records
        if it.position <= standing.head
    ]


def unsure_of(standing: ClusterStanding) -> range:
    """Return the positions of which neither the log nor the database says what was told at them.

    The log has lost its data lately, or has just begun. What was told and not saved, or stored and
    not told, may be known to nobody. A log that reaches back far enough has all of it.
    """
    is_complete = standing.complete_after <= _recent(standing)
    return range(0) if is_complete else range(standing.complete_after + 1)


def _recent(standing: ClusterStanding) -> StreamPosition:
    return at_time(after(standing.now, -RECENT))


def with_recent(
    saved: Sequence[SavedPresence], recent: Sequence[RecentRecord]
) -> list[SavedPresence]:
    """Return *saved* with the changes of *recent*, which is in the order of the log."""
    known = {UserId(it.user.state.user_id): it for it in saved}
    for record in recent:
        users = {it.state.user_id: it for it in record.content.users}
        for position, entry in zip(record.positions, record.content.entries, strict=True):
            match entry:
                case Changed():
                    for change in entry.changes:
                        _put(known, users, change.new, position, position)
                case Refreshed():
                    for state in entry.states:
                        before = known.get(UserId(state.user_id))
                        told = before.position if before else StreamPosition(0)
                        _put(known, users, state, position, told)
                case Forgotten():
                    before = known.get(entry.user_id)
                    if before is not None and position >= before.position:
                        del known[entry.user_id]
    return list(known.values())


def news_of(recent: Sequence[RecentRecord]) -> dict[StreamPosition, bytes]:
    """Return what homeservers have told, by its position, in the order of the log."""
    return {
        position: entry.payload
        for position, entry in _entries(recent)
        if isinstance(entry, HomeserverNews)
    }


def ended_of(recent: Sequence[RecentRecord]) -> list[VisibilityEnded]:
    """Return whom modules have ceased to show."""
    return [entry for _, entry in _entries(recent) if isinstance(entry, VisibilityEnded)]


def _entries(recent: Sequence[RecentRecord]) -> Iterator[tuple[StreamPosition, Entry]]:
    for record in recent:
        yield from zip(record.positions, record.content.entries, strict=True)


def _put(
    known: dict[UserId, SavedPresence],
    users: dict[str, TrackedUser],
    state: UserPresenceState,
    position: StreamPosition,
    told: StreamPosition,
) -> None:
    """Note how a user is from *position* on, whose last change is at *told*.

    What is saved of the user may be newer.
    """
    user_id = UserId(state.user_id)
    before = known.get(user_id)
    user = users.get(user_id) or (before.user if before else None)
    if user is not None and (before is None or position >= before.position):
        known[user_id] = SavedPresence(msgspec.structs.replace(user, state=state), told)

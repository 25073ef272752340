"""The latest events of a room that a viewer may see."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.tables import events, transactions
from lamplighter.homeserver.sql.encoded import SentAs
from lamplighter.homeserver.sql.events import StoredEvent, read_events

__all__ = ["Timeline", "read_sent_as", "read_timeline"]

_LONGEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Timeline:
    """A piece of a room's history, oldest event first."""

    events: tuple[StoredEvent, ...]
    #: Whether there are events between the place asked for and the first one here.
    is_limited: bool
    #: The place in the stream just before the first event.
    starts_after: int


async def read_timeline(
    connection: AsyncConnection,
    admitted: ColumnElement[bool],
    *wanted: ColumnElement[bool],
    after: int = 0,
    limit: int,
) -> Timeline:
    """Return the last *limit* events after a place in the stream, as far as they are *wanted*.

    Only events of one room may be *admitted*.
    """
    limit = min(max(0, limit), _LONGEST)
    query = select(events).where(admitted, events.c.position > after, *wanted)
    query = query.order_by(events.c.position.desc()).limit(limit + 1)
    newest_first = await read_events(connection, query)
    kept = tuple(reversed(newest_first[:limit]))
    is_limited = len(newest_first) > limit
    if kept:
        return Timeline(kept, is_limited, kept[0].position - 1)
    return Timeline((), is_limited, newest_first[0].position if newest_first else after)


async def read_sent_as(
    connection: AsyncConnection, sent: Iterable[StoredEvent]
) -> Mapping[str, SentAs]:
    """Return by event ID how messages among *sent* were sent; state has no transaction IDs."""
    messages = [event.event_id for event in sent if event.state_key is None]
    if not messages:
        return {}
    query = select(transactions).where(transactions.c.event_id.in_(messages))
    found = await connection.execute(query)
    return {row.event_id: SentAs(row.device_id, row.txn_id) for row in found}

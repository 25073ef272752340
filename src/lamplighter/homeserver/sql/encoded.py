"""Room events for `/sync`: JSON that is encoded once, except for the age of the event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.clock import Timestamp
from lamplighter.database.tables import transactions
from lamplighter.homeserver.sql.events import StoredEvent
from lamplighter.ids import UserId
from lamplighter.ports import Requester

__all__ = ["EncodedEvent", "SentAs", "encode_event", "encode_events", "read_sent_as"]


class SentAs(NamedTuple):
    """The device that sent an event, and its transaction ID."""

    device_id: str
    txn_id: str


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event without its room ID (<https://spec.matrix.org/latest/client-server-api/#syncing>)."""

    position: int
    event_id: str
    type: str
    state_key: str | None
    sender: UserId
    origin_server_ts: Timestamp
    #: Its JSON up to the number that is its age.
    head: bytes
    sent_as: SentAs | None = None

    def shown_to(self, requester: Requester, now: Timestamp) -> bytes:
        """Return the event as JSON, with its transaction ID if it is the requester's device's."""
        age = max(0, now - self.origin_server_ts)
        sent = self.sent_as
        if sent is None or (self.sender, sent.device_id) != (
            requester.user_id,
            requester.device_id,
        ):
            return b"%b%d}}" % (self.head, age)
        return b'%b%d,"transaction_id":%b}}' % (self.head, age, msgspec.json.encode(sent.txn_id))


def encode_event(event: StoredEvent, sent_as: SentAs | None = None) -> EncodedEvent:
    """Return the event with its JSON, which the database has in parts."""
    shown = {
        "type": event.type,
        "sender": event.sender,
        "content": msgspec.Raw(event.content.encode()),
        "event_id": event.event_id,
        "origin_server_ts": event.origin_server_ts,
    }
    if event.state_key is not None:
        shown["state_key"] = event.state_key
    unsigned = event.unsigned.encode()[:-1]
    separator = b"," if len(unsigned) > 1 else b""
    body = msgspec.json.encode(shown)[:-1]
    head = b'%b,"unsigned":%b%b"age":' % (body, unsigned, separator)
    return EncodedEvent(
        event.position,
        event.event_id,
        event.type,
        event.state_key,
        event.sender,
        event.origin_server_ts,
        head,
        sent_as,
    )


async def encode_events(
    connection: AsyncConnection, events: Iterable[StoredEvent], sender: UserId | None = None
) -> tuple[EncodedEvent, ...]:
    """Return *events*, with transaction IDs; with *sender*, those of this user only."""
    own = [event for event in events if sender is None or event.sender == sender]
    sent_as = await read_sent_as(connection, own)
    return tuple(encode_event(event, sent_as.get(event.event_id)) for event in events)


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

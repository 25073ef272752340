"""Room events as `/sync` has them: JSON that is written once, but for the age of the event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.directory.sql.events import StoredEvent
from lamplighter.ids import UserId

__all__ = ["EncodedEvent", "encode_event", "encode_list"]

_NO_TXN_IDS: Final[Mapping[str, str]] = {}


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

    def is_sent_by(self, user_id: UserId) -> bool:
        """Tell whether a device of the user sent it under a transaction ID: only messages are."""
        return self.sender == user_id and self.state_key is None

    def shown(self, now: Timestamp, txn_id: str | None = None) -> bytes:
        """Return the event as JSON, *txn_id* being for the device that sent it."""
        age = max(0, now - self.origin_server_ts)
        if txn_id is None:
            return b"%b%d}}" % (self.head, age)
        return b'%b%d,"transaction_id":%b}}' % (self.head, age, msgspec.json.encode(txn_id))


def encode_event(event: StoredEvent) -> EncodedEvent:
    """Return the event with all its JSON, stored in parts, put together."""
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
    )


def encode_list(
    events: Iterable[EncodedEvent], now: Timestamp, txn_ids: Mapping[str, str] = _NO_TXN_IDS
) -> msgspec.Raw:
    """Return the events as a JSON list; *txn_ids*, by event ID, are the viewer's device's own."""
    if txn_ids:
        shown = (event.shown(now, txn_ids.get(event.event_id)) for event in events)
    else:
        shown = (event.shown(now) for event in events)
    return msgspec.Raw(b"[%b]" % b",".join(shown))

"""How nodes write to each other: the records of the log, and the messages from one node to another.

Each payload begins with one byte, the version of its form, and goes on in msgpack. A node that
meets a later version than its own cannot go on: it would miss what the other nodes do.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from lamplighter.cluster.entries import Entry
from lamplighter.errors import ClusterRefused
from lamplighter.ids import ServerName
from lamplighter.presence.events import Event
from lamplighter.presence.machine import TrackedUser

__all__ = [
    "WIRE_VERSION",
    "EventSaid",
    "EventTaken",
    "NodeMessage",
    "Outcome",
    "ServerHeard",
    "WireRecord",
    "decode_message",
    "decode_record",
    "encode_message",
    "encode_record",
]

#: The version of the form that this code writes and reads. Every change of an entry is a new one,
#: but for a field with a default, without which a node of another version does as well.
WIRE_VERSION: Final = 4

_PREFIX: Final = bytes([WIRE_VERSION])


class WireRecord(msgspec.Struct, frozen=True, array_like=True):
    """What a node has appended in one cycle of its event loop."""

    entries: Sequence[Entry]
    #: The users whom the entries change, as their owner has them, with their devices: another node
    #: goes on from there when it becomes the owner.
    users: Sequence[TrackedUser] = ()


class EventSaid(msgspec.Struct, frozen=True, tag="event"):
    """An event has happened to a user whom the receiver owns."""

    #: The sender's number of the event.
    number: int
    event: Event


class Outcome(StrEnum):
    """What has become of an event."""

    #: It is delivered and saved.
    DONE = "done"
    #: The database cannot be written; the owner keeps the change and tries again.
    UNSAVED = "unsaved"
    #: The receiver does not own the user, or does not any more: nothing is saved.
    ELSEWHERE = "elsewhere"


class EventTaken(msgspec.Struct, frozen=True, tag="taken"):
    """The answer to an `EventSaid`."""

    number: int
    outcome: Outcome


class ServerHeard(msgspec.Struct, frozen=True, tag="heard"):
    """Another server, to which the receiver sends, has sent a request to the sender."""

    server_name: ServerName


NodeMessage: TypeAlias = EventSaid | EventTaken | ServerHeard

_encode: Final = msgspec.msgpack.Encoder().encode
_record: Final = msgspec.msgpack.Decoder(WireRecord)
_message: Final = msgspec.msgpack.Decoder(NodeMessage)


def encode_record(record: WireRecord) -> bytes:
    """Return the payload of a record of the log."""
    return _PREFIX + _encode(record)


def decode_record(payload: bytes) -> WireRecord:
    """Return what `encode_record` was given; raise `ClusterRefused` for another version."""
    return _record.decode(_without_version(payload))


def encode_message(message: NodeMessage) -> bytes:
    """Return the payload of a message to one node."""
    return _PREFIX + _encode(message)


def decode_message(payload: bytes) -> NodeMessage:
    """Return what `encode_message` was given; raise `ClusterRefused` for another version."""
    message: NodeMessage = _message.decode(_without_version(payload))
    return message


def _without_version(payload: bytes) -> memoryview:
    if payload[:1] != _PREFIX:
        raise ClusterRefused(
            f"another node writes version {payload[0] if payload else 0} of the stream; this one"
            f" reads version {WIRE_VERSION}: update this node first"
        )
    return memoryview(payload)[1:]

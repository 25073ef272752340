"""What nodes write to each other: every form has a version, and no form changes without another."""

import hashlib
from datetime import timedelta
from typing import Final

import msgspec
import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.entries import EverybodyBut, ReloadAsked, VisibilityEnded
from lamplighter.cluster.log import Lease, NodeName
from lamplighter.cluster.parts import Part
from lamplighter.cluster.wire import (
    WIRE_VERSION,
    EventSaid,
    EventTaken,
    NodeMessage,
    Outcome,
    ServerHeard,
    WireRecord,
    decode_message,
    decode_record,
    encode_message,
    encode_record,
)
from lamplighter.errors import ClusterRefused
from lamplighter.ids import DeviceId, ServerName, StreamPosition
from lamplighter.presence.device import Device
from lamplighter.presence.events import (
    AccountDeactivated,
    Activity,
    DeviceGone,
    Event,
    RemoteUpdate,
    SetByModule,
    StatusSet,
    SyncEnded,
    Syncing,
)
from lamplighter.presence.machine import StateSource, TrackedUser
from lamplighter.presence.state import Presence
from tests.cluster.test_entries import BOBS, ENTRIES
from tests.routing.people import ALICE, DORA

PHONE: Final = DeviceId("PHONE")
USER: Final = TrackedUser(
    BOBS,
    StateSource.DEVICES,
    (Device(PHONE, Presence.BUSY, Timestamp(1), Timestamp(2), Presence.ONLINE, True, True),),
)
EVENTS: Final[list[Event]] = [
    Syncing(ALICE, PHONE, Presence.UNAVAILABLE, True, True),
    SyncEnded(ALICE, PHONE, Timestamp(3)),
    StatusSet(ALICE, PHONE, Presence.ONLINE, "brb"),
    Activity(ALICE, PHONE),
    DeviceGone(ALICE, PHONE),
    AccountDeactivated(ALICE),
    RemoteUpdate(DORA, Presence.ONLINE, "hi", timedelta(seconds=1), True),
    SetByModule(ALICE, Presence.ONLINE, "hi"),
]
RECORDS: Final = {
    **{type(it).__name__: WireRecord([it], [USER]) for it in ENTRIES},
    "Part": WireRecord([ReloadAsked(Lease(NodeName("a"), 7), "1", (Part("a.B", "here"),))], [USER]),
    "since": WireRecord([VisibilityEnded(ALICE, (DORA,), False, StreamPosition(7))], [USER]),
    "EverybodyBut": WireRecord([VisibilityEnded(ALICE, EverybodyBut((DORA,)), True)], [USER]),
}
MESSAGES: Final[dict[str, NodeMessage]] = {
    **{type(it).__name__: EventSaid(4, it) for it in EVENTS},
    **{it.name: EventTaken(4, it) for it in Outcome},
    "ServerHeard": ServerHeard(ServerName("two.example")),
}

#: The digest of each form as version 4 writes it.
FORMS: Final = {
    "Part": "28a97347bf01",
    "since": "a20bce97dca1",
    "Changed": "6f489662f9d5",
    "LateAnswer": "5ae2edf79e85",
    "Abandoned": "15c60594e3f4",
    "Refreshed": "482b6e522bba",
    "ReadAgain": "927090e1677f",
    "Forgotten": "70d3a97045ca",
    "Joined": "ecdc3ab8e2ee",
    "CeasedToCount": "9fa87d82f2f9",
    "BeganToCount": "168f58f332f0",
    "Left": "db7c6966f65e",
    "Revoked": "7ec208df78cf",
    "Deactivated": "470402df6194",
    "SnapshotFor": "afeb6d443a98",
    "VisibilityEnded": "579ae785c706",
    "Reminded": "39bdd870df7e",
    "ShownElsewhere": "6f7a899c52ed",
    "ModulesSwapped": "5e84cb1d3ce4",
    "ReloadAsked": "f24ebb775ea4",
    "ModulesTried": "386b80005db3",
    "HoldAsked": "112e387ff92a",
    "ModulesHeld": "9207f2b39308",
    "ReloadCalledOff": "6cfb00641ed9",
    "HomeserverNews": "b8ff1b6363a6",
    "Idle": "b85b7c49934a",
    "EverybodyBut": "94e22a2ee120",
    "Syncing": "322760c72428",
    "SyncEnded": "e4bd43f73c69",
    "StatusSet": "9fe94c8b0555",
    "Activity": "b5977b4b9962",
    "DeviceGone": "7399f3d14f89",
    "AccountDeactivated": "843a2c0593a6",
    "RemoteUpdate": "a6fb77855d02",
    "SetByModule": "cbc364fbc924",
    "DONE": "32b05bd67739",
    "UNSAVED": "f7580425a15c",
    "ELSEWHERE": "49f976ee9a62",
    "ServerHeard": "f0e75e3834b3",
}


def form_of(content: WireRecord | NodeMessage) -> str:
    """Return a digest of the bytes that a node writes."""
    if isinstance(content, WireRecord):
        written = encode_record(content)
    else:
        written = encode_message(content)
    return hashlib.sha256(written).hexdigest()[:12]


def test_no_form_changes() -> None:
    """Every entry, event and answer is written as version 4 writes it.

    If this test fails, nodes of two versions do not understand each other: raise `WIRE_VERSION`.
    """
    assert WIRE_VERSION == 4
    assert {name: form_of(it) for name, it in {**RECORDS, **MESSAGES}.items()} == FORMS


@pytest.mark.parametrize("name", RECORDS)
def test_records(name: str) -> None:
    """A record is read as it was written, with the users whom it carries."""
    record = RECORDS[name]
    read = decode_record(encode_record(record))
    assert (list(read.entries), list(read.users)) == (record.entries, record.users)


def test_a_later_field() -> None:
    """A field that only another version has is passed over, where this one does without it."""
    by = Lease(NodeName("a"), 7)
    written = {"type": "ReloadAsked", "by": by, "digest": "1", "later": {"more": 2}}
    payload = bytes([WIRE_VERSION]) + msgspec.msgpack.encode([[written], []])
    assert list(decode_record(payload).entries) == [ReloadAsked(by, "1", None)]


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    """A message is read as it was written."""
    assert decode_message(encode_message(MESSAGES[name])) == MESSAGES[name]


@pytest.mark.parametrize(("payload", "version"), [(b"", 0), (b"\x05rest", 5)])
def test_another_version(payload: bytes, version: int) -> None:
    """What has another version is refused, with a line that says what to do."""
    expected = (
        f"another node writes version {version} of the stream; this one reads version 4: update"
        " this node first"
    )
    for decode in (decode_record, decode_message):
        with pytest.raises(ClusterRefused) as raised:
            decode(payload)
        assert str(raised.value) == expected

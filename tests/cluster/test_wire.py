"""What nodes write to each other: every form has a version, and no form changes without another."""

import hashlib
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.entries import EverybodyBut, VisibilityEnded
from lamplighter.cluster.wire import (
    WIRE_VERSION,
    EventSaid,
    EventTaken,
    NodeMessage,
    Outcome,
    WireRecord,
    decode_message,
    decode_record,
    encode_message,
    encode_record,
)
from lamplighter.errors import ClusterRefused
from lamplighter.ids import DeviceId
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
    "EverybodyBut": WireRecord([VisibilityEnded(ALICE, EverybodyBut((DORA,)), True)], [USER]),
}
MESSAGES: Final[dict[str, NodeMessage]] = {
    **{type(it).__name__: EventSaid(4, it) for it in EVENTS},
    **{it.name: EventTaken(4, it) for it in Outcome},
}

#: The digest of each form as version 3 writes it.
FORMS: Final = {
    "Changed": "f3995fff6cc7",
    "LateAnswer": "9a3faf727d33",
    "Abandoned": "38e5f351d050",
    "Refreshed": "55170caec692",
    "ReadAgain": "292e933bcef7",
    "Forgotten": "57548055ddb1",
    "Joined": "d0a941a496e6",
    "CeasedToCount": "dc9ce9e8ea83",
    "BeganToCount": "43c120e106bf",
    "Left": "28e705723475",
    "Revoked": "623bda44e30a",
    "Deactivated": "b21b05639b99",
    "SnapshotFor": "f780033a16f7",
    "VisibilityEnded": "ad4185c96ca9",
    "Reminded": "817449065a4e",
    "ShownElsewhere": "12e4fe4665e3",
    "ModulesSwapped": "f35139f750cc",
    "ReloadAsked": "c182568a46c1",
    "ModulesTried": "3426b16a5b2f",
    "HoldAsked": "436b2d6a16b2",
    "ModulesHeld": "49352c1c4fae",
    "ReloadCalledOff": "c32dbeec4f93",
    "HomeserverNews": "9c47f98ccb7b",
    "Idle": "6f5899425d1c",
    "EverybodyBut": "80e86f1ad9ad",
    "Syncing": "07e78010c713",
    "SyncEnded": "697d750e8a68",
    "StatusSet": "bd9a1fa1438e",
    "Activity": "9c0c7ad6f44d",
    "DeviceGone": "69dd814367a1",
    "AccountDeactivated": "3a526bec4f19",
    "RemoteUpdate": "0609c194404f",
    "SetByModule": "b59d95b79e42",
    "DONE": "d0aa200c3bbb",
    "UNSAVED": "36b8d6c8c32c",
    "ELSEWHERE": "d91f499d2e77",
}


def form_of(content: WireRecord | NodeMessage) -> str:
    """Return a digest of the bytes that a node writes."""
    if isinstance(content, WireRecord):
        written = encode_record(content)
    else:
        written = encode_message(content)
    return hashlib.sha256(written).hexdigest()[:12]


def test_no_form_changes() -> None:
    """Every entry, event and answer is written as version 3 writes it.

    If this test fails, nodes of two versions do not understand each other: raise `WIRE_VERSION`.
    """
    assert WIRE_VERSION == 3
    assert {name: form_of(it) for name, it in {**RECORDS, **MESSAGES}.items()} == FORMS


@pytest.mark.parametrize("name", RECORDS)
def test_records(name: str) -> None:
    """A record is read as it was written, with the users whom it carries."""
    record = RECORDS[name]
    read = decode_record(encode_record(record))
    assert (list(read.entries), list(read.users)) == (record.entries, record.users)


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    """A message is read as it was written."""
    assert decode_message(encode_message(MESSAGES[name])) == MESSAGES[name]


@pytest.mark.parametrize(("payload", "version"), [(b"", 0), (b"\x04rest", 4)])
def test_another_version(payload: bytes, version: int) -> None:
    """What has another version is refused, with a line that says what to do."""
    expected = (
        f"another node writes version {version} of the stream; this one reads version 3: update"
        " this node first"
    )
    for decode in (decode_record, decode_message):
        with pytest.raises(ClusterRefused) as raised:
            decode(payload)
        assert str(raised.value) == expected

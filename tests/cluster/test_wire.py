"""What nodes write to each other: every form has a version, and no form changes without another."""

import hashlib
from datetime import timedelta
from typing import Final

import pytest

from lamplighter.clock import Timestamp
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
RECORDS: Final = {type(it).__name__: WireRecord([it], [USER]) for it in ENTRIES}
MESSAGES: Final[dict[str, NodeMessage]] = {
    **{type(it).__name__: EventSaid(4, it) for it in EVENTS},
    **{it.name: EventTaken(4, it) for it in Outcome},
}

#: The digest of each form as version 2 writes it.
FORMS: Final = {
    "Changed": "a5febdb67022",
    "LateAnswer": "7e6633d2277f",
    "Abandoned": "4ae815f0cb87",
    "Refreshed": "51ca21d4476c",
    "ReadAgain": "f86b58e75d76",
    "Forgotten": "9d9ae7bbfce6",
    "Joined": "c80d08c5e518",
    "CeasedToCount": "c037df5d77d6",
    "BeganToCount": "453c7a0dd4fd",
    "Left": "d5ebe6cd4997",
    "Revoked": "90adf0fc4ac6",
    "Deactivated": "8b82c9c757b8",
    "SnapshotFor": "08e8d0ef250b",
    "VisibilityEnded": "6ba44c48793e",
    "Reminded": "f26046caecf3",
    "ShownElsewhere": "0ebdd8286c80",
    "ModulesSwapped": "0ef33f4dea30",
    "ReloadAsked": "ae1a2cc57828",
    "ModulesTried": "50285119ac0e",
    "HoldAsked": "6940cc133039",
    "ModulesHeld": "35361e5547c4",
    "ReloadCalledOff": "6a396d5490fd",
    "HomeserverNews": "7df0dda65e93",
    "Idle": "76211afc72a2",
    "Syncing": "02494110009b",
    "SyncEnded": "18e6173ce613",
    "StatusSet": "f91b2bb2f4b7",
    "Activity": "7551c74da5fe",
    "DeviceGone": "d61737ce3f07",
    "AccountDeactivated": "e59325432799",
    "RemoteUpdate": "bd9719c77e73",
    "SetByModule": "af999ec41571",
    "DONE": "298b0cae1b74",
    "UNSAVED": "2606bc681f6d",
    "ELSEWHERE": "120f860427fc",
}


def form_of(content: WireRecord | NodeMessage) -> str:
    """Return a digest of the bytes that a node writes."""
    if isinstance(content, WireRecord):
        written = encode_record(content)
    else:
        written = encode_message(content)
    return hashlib.sha256(written).hexdigest()[:12]


def test_no_form_changes() -> None:
    """Every entry, event and answer is written as version 2 writes it.

    If this test fails, nodes of two versions do not understand each other: raise `WIRE_VERSION`.
    """
    assert WIRE_VERSION == 2
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


@pytest.mark.parametrize(("payload", "version"), [(b"", 0), (b"\x03rest", 3)])
def test_another_version(payload: bytes, version: int) -> None:
    """What has another version is refused, with a line that says what to do."""
    expected = (
        f"another node writes version {version} of the stream; this one reads version 2: update"
        " this node first"
    )
    for decode in (decode_record, decode_message):
        with pytest.raises(ClusterRefused) as raised:
            decode(payload)
        assert str(raised.value) == expected

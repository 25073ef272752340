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

#: The digest of each form as version 1 writes it.
FORMS: Final = {
    "Changed": "003fa46f5ce4",
    "LateAnswer": "d879d507d840",
    "Abandoned": "351ee2bab8ff",
    "Refreshed": "7a059f88abca",
    "Forgotten": "71038b84ba1c",
    "Joined": "6eefddd7dd7d",
    "CeasedToCount": "63c38971052c",
    "BeganToCount": "6dbeb9abffaa",
    "Left": "0e059f92296d",
    "Revoked": "238a98929e5d",
    "Deactivated": "cd0ebc3ad0f2",
    "SnapshotFor": "b18382fbea93",
    "Reminded": "53ce07f858b9",
    "ShownElsewhere": "c73c8c055f08",
    "ModulesSwapped": "47b77d3fd59b",
    "ReloadAsked": "19ccff44bc3a",
    "ModulesTried": "2c2adf0bed4e",
    "HoldAsked": "a18062a5b8ba",
    "ModulesHeld": "bb331a17cb15",
    "ReloadCalledOff": "7aca3533091b",
    "HomeserverNews": "18373bf17684",
    "Idle": "a5d348092411",
    "Syncing": "66416872ded2",
    "SyncEnded": "e5a23a7327e5",
    "StatusSet": "dc91565257d1",
    "Activity": "456bdaef6ea5",
    "DeviceGone": "368a5d843977",
    "AccountDeactivated": "0a796bc3c7df",
    "RemoteUpdate": "9084f407b92f",
    "SetByModule": "ea7ba5fb7fc1",
    "DONE": "27115df720f2",
    "UNSAVED": "d30ced0ae5a1",
    "ELSEWHERE": "85b53204bd0c",
}


def form_of(content: WireRecord | NodeMessage) -> str:
    """Return a digest of the bytes that a node writes."""
    if isinstance(content, WireRecord):
        written = encode_record(content)
    else:
        written = encode_message(content)
    return hashlib.sha256(written).hexdigest()[:12]


def test_no_form_changes() -> None:
    """Every entry, event and answer is written as version 1 writes it.

    If this test fails, nodes of two versions do not understand each other: raise `WIRE_VERSION`.
    """
    assert WIRE_VERSION == 1
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


@pytest.mark.parametrize(("payload", "version"), [(b"", 0), (b"\x02rest", 2)])
def test_another_version(payload: bytes, version: int) -> None:
    """What has another version is refused, with a line that says what to do."""
    expected = (
        f"another node writes version {version} of the stream; this one reads version 1: update"
        " this node first"
    )
    for decode in (decode_record, decode_message):
        with pytest.raises(ClusterRefused) as raised:
            decode(payload)
        assert str(raised.value) == expected

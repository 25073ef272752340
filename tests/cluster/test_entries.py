"""The entries of the stream are data: each can be written to a wire, and is the same when read."""

from typing import get_args

import msgspec
import pytest

from lamplighter.cluster.entries import (
    Abandoned,
    BeganToCount,
    CeasedToCount,
    Changed,
    Deactivated,
    Entry,
    Forgotten,
    HoldAsked,
    HomeserverNews,
    Idle,
    Joined,
    LateAnswer,
    Left,
    ModulesHeld,
    ModulesSwapped,
    ModulesTried,
    ReadAgain,
    Refreshed,
    ReloadAsked,
    ReloadCalledOff,
    Reminded,
    Revoked,
    ShownElsewhere,
    SnapshotFor,
    VisibilityEnded,
)
from lamplighter.cluster.log import Lease, NodeName
from lamplighter.ids import DeviceId, StreamPosition
from lamplighter.presence.changes import Change, ChangeReason
from lamplighter.routing.plan import Route
from lamplighter.routing.reasons import Module
from tests.routing.people import ALICE, BOB, CHARLIE, HALL, state

POSITION = StreamPosition(2**60 + 7)
LEASE = Lease(NodeName("a"), 1_800_000_000_000)
BOBS = state(BOB, "brb")
CHANGE = Change(state(BOB), BOBS, ChangeReason.STATUS_MSG)
ROUTES = {
    ALICE: {
        BOB: Route(
            state(BOB, None), (Module("One"), Module("Other")), (Module("Other"),), (Module("One"),)
        )
    },
    CHARLIE: {BOB: Route(None, (Module("One"),), (Module("One"),))},
}
ENTRIES: list[Entry] = [
    Changed((CHANGE,), ROUTES, {"Slow": frozenset({ALICE})}),
    LateAnswer(POSITION, ROUTES, {"Slow": frozenset()}),
    Abandoned(POSITION),
    Refreshed((BOBS,)),
    ReadAgain((BOBS,)),
    Forgotten(BOB),
    Joined(HALL, ALICE),
    CeasedToCount(HALL),
    BeganToCount(HALL),
    Left(HALL, (ALICE, BOB)),
    Revoked(ALICE, (DeviceId("PHONE"),)),
    Deactivated(ALICE),
    SnapshotFor((ALICE, BOB)),
    VisibilityEnded(ALICE, (BOB, CHARLIE), True),
    Reminded(POSITION, (BOBS,), ROUTES),
    ShownElsewhere(POSITION, frozenset({ALICE}), (BOBS,), ROUTES),
    ModulesSwapped(frozenset({BOB})),
    ReloadAsked(LEASE, "0123456789abcdef"),
    ModulesTried(POSITION, LEASE, "it fails"),
    HoldAsked(POSITION),
    ModulesHeld(POSITION, LEASE, frozenset({BOB})),
    ReloadCalledOff(POSITION),
    HomeserverNews(b"written"),
    Idle(),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_over_a_wire(entry: Entry) -> None:
    """An entry that is encoded and decoded is equal to itself."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=Entry) == entry


def test_every_kind() -> None:
    """There is no kind of entry that the test above leaves out."""
    assert {type(entry) for entry in ENTRIES} == set(get_args(Entry))

"""Events of each kind."""

from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.ids import ServerName, StreamPosition
from lamplighter.ports import Account
from lamplighter.recording.events import (
    AS_THEY_ARE,
    VERSION,
    Away,
    Began,
    Known,
    KnownAccounts,
    Looking,
    Met,
    Moved,
    RecordedBatch,
    RecordedEvent,
    RecordedLate,
    SeenAlike,
    Viewed,
    told_to,
)
from lamplighter.routing.reasons import AllUsers, Module, Self, SharedRoom
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, DORA, HALL, state

__all__ = ["BEGAN", "EVENTS", "at", "said"]


def at(second: int) -> Timestamp:
    """Return an instant."""
    return Timestamp(1_700_000_000_000 + 1000 * second)


BEGAN: Final = Began(at(0), VERSION, ServerName("demo"), 5_000)

#: At least one event of each kind.
EVENTS: Final[tuple[RecordedEvent, ...]] = (
    BEGAN,
    KnownAccounts(at(0), [Account(ALICE, at(-9), is_admin=True, is_deactivated=False)]),
    Known(at(0), [state(BOB, "brb"), state(CHARLIE, None, "offline")]),
    Moved(at(0), HALL, BOB, joined=True),
    Moved(at(0), ATTIC, CHARLIE, joined=True),
    Looking(at(0), [CHARLIE]),
    Viewed(
        at(1),
        ALICE,
        looks=True,
        users=None,
        seen=[SeenAlike((SharedRoom(HALL), Module("Rule")), [BOB]), SeenAlike((Self(),), [ALICE])],
    ),
    Viewed(at(2), DORA, looks=False, users=[BOB], seen=[]),
    RecordedBatch(
        at(3),
        StreamPosition(17),
        [state(BOB, "back"), state(CHARLIE)],
        told_to(
            {
                BOB: {
                    ALICE: ((("status_msg", None),), (Module("Rule"),)),
                    CHARLIE: (AS_THEY_ARE, (AllUsers("All"),)),
                    BOB: (AS_THEY_ARE, (Self(),)),
                },
                CHARLIE: {},
            }
        ),
    ),
    RecordedLate(
        at(4), StreamPosition(17), told_to({CHARLIE: {ALICE: (AS_THEY_ARE, (Module("Slow"),))}})
    ),
    Met(at(5), told_to({BOB: {CHARLIE: (AS_THEY_ARE, (SharedRoom(ATTIC),))}})),
    Moved(at(6), HALL, BOB, joined=False),
    Away(at(7), [CHARLIE]),
)


def said(number: int) -> RecordedBatch:
    """Return a batch in which the number is bob's status message."""
    return RecordedBatch(at(number), StreamPosition(number), [state(BOB, str(number))], [])

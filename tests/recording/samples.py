"""Events to write down and read again."""

from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp
from lamplighter.ids import ServerName, StreamPosition
from lamplighter.ports import Account
from lamplighter.recording.events import (
    AS_THEY_ARE,
    Accounts,
    Away,
    Batch,
    Began,
    Event,
    Known,
    Late,
    Looking,
    Met,
    Moved,
    Viewed,
)
from lamplighter.routing.reasons import AllUsers, Module, Self, SharedRoom
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, DORA, HALL, state

__all__ = ["BEGAN", "EVENTS", "at", "said"]


def at(second: int) -> Timestamp:
    """Return an instant."""
    return Timestamp(1_700_000_000_000 + 1000 * second)


BEGAN: Final = Began(at(0), ServerName("demo"), timedelta(seconds=5))

#: One of each kind, and more.
EVENTS: Final[tuple[Event, ...]] = (
    BEGAN,
    Accounts(at(0), [Account(ALICE, at(-9), is_admin=True, is_deactivated=False)]),
    Known(at(0), [state(BOB, "brb"), state(CHARLIE, None, "offline")]),
    Moved(at(0), HALL, BOB, joined=True),
    Moved(at(0), ATTIC, CHARLIE, joined=True),
    Looking(at(0), [CHARLIE]),
    Viewed(
        at(1),
        ALICE,
        looks=True,
        users=None,
        sights={BOB: (AS_THEY_ARE, (SharedRoom(HALL), Module("Rule"))), ALICE: ((), (Self(),))},
    ),
    Viewed(at(2), DORA, looks=False, users=[BOB], sights={}),
    Batch(
        at(3),
        StreamPosition(17),
        [state(BOB, "back"), state(CHARLIE)],
        {
            BOB: {
                ALICE: ((("status_msg", None),), (Module("Rule"),)),
                CHARLIE: (AS_THEY_ARE, (AllUsers("All"),)),
                BOB: (AS_THEY_ARE, (Self(),)),
            },
            CHARLIE: {},
        },
    ),
    Late(at(4), StreamPosition(17), {CHARLIE: {ALICE: (AS_THEY_ARE, (Module("Slow"),))}}),
    Met(at(5), {BOB: {CHARLIE: (AS_THEY_ARE, (SharedRoom(ATTIC),))}}),
    Moved(at(6), HALL, BOB, joined=False),
    Away(at(7), [CHARLIE]),
)


def said(number: int) -> Batch:
    """Return a batch in which bob says the number."""
    return Batch(at(number), StreamPosition(number), [state(BOB, str(number))], {})

"""Everything as it is at one place in a record."""

from lamplighter.recording.events import VERSION, Began, RecordedEvent
from lamplighter.recording.world import RecordedWorld
from tests.recording.samples import BEGAN, EVENTS, at
from tests.routing.people import ALICE, ATTIC, BOB, CHARLIE, DORA, state


def after(*events: RecordedEvent) -> RecordedWorld:
    """Return the world after these events."""
    world = RecordedWorld(BEGAN)
    for event in events:
        world.apply(event)
    return world


def test_what_is_known() -> None:
    """The world has the newest states, room members, accounts, and viewers who get changes."""
    world = after(*EVENTS)
    assert world.states == {BOB: state(BOB, "back"), CHARLIE: state(CHARLIE)}
    assert world.rooms == {ATTIC: {CHARLIE: None}}
    assert list(world.accounts) == [ALICE]
    assert list(world.looking) == [ALICE]


def test_mentions() -> None:
    """The world knows whether any event was about a user."""
    world = after(*EVENTS)
    assert [world.mentions(it) for it in (BOB, CHARLIE, ALICE, DORA)] == [True, True, True, False]


def test_snapshot() -> None:
    """The events of a snapshot lead to the same world."""
    world = after(*EVENTS)
    began, *rest = world.snapshot(at(9))
    assert began == Began(at(9), VERSION, BEGAN.server_name, BEGAN.module_timeout)
    again = after(*rest)
    for name in ("states", "rooms", "accounts", "looking"):
        assert getattr(again, name) == getattr(world, name)

"""The intake of events: the future of an event, and changes that are not announced."""

import asyncio

import pytest

from lamplighter.errors import StorageUnavailable
from lamplighter.ports import Requester
from lamplighter.presence.events import StatusSet, SyncEnded, Syncing
from lamplighter.presence.state import Presence
from tests.busy_clock import BusyClock
from tests.routing.people import ALICE, BOB
from tests.service.parts import PHONE, Parts

WHO = Requester(BOB, PHONE)


def status(status_msg: str) -> StatusSet:
    """Return the event of bob's setting a status."""
    return StatusSet(BOB, PHONE, Presence.ONLINE, status_msg)


async def test_the_future_of_an_event() -> None:
    """`accept` returns a future that is done once the change is in the outboxes, and saved."""
    parts = Parts()
    parts.feed.open(BOB)
    saved = parts.intake.accept(status("one"))
    assert (saved.done(), parts.heard(BOB)) == (False, [])
    await saved
    assert (parts.heard(BOB), parts.store.messages) == ([(BOB, "one")], [{BOB: "one"}])


async def test_each_event_has_its_own() -> None:
    """The future is that of the event's batch, whatever happens before it is awaited."""
    parts = Parts()
    first = parts.intake.accept(status("one"))
    await first
    parts.store.works = False
    second = parts.intake.accept(status("two"))
    with pytest.raises(StorageUnavailable):
        await asyncio.shield(second)
    assert (first.exception(), second.done()) == (None, True)


async def test_an_event_that_changes_nothing() -> None:
    """An event that changes nothing gets the future of the change before it."""
    parts = Parts()
    first, again = parts.intake.accept(status("one")), parts.intake.accept(status("one"))
    assert first is again
    await again
    await parts.intake.accept(status("one"))
    assert parts.store.messages == [{BOB: "one"}]


async def test_what_was_lost_is_tried_again() -> None:
    """An event that changes nothing has the change before it saved, if that has failed."""
    parts = Parts()
    parts.store.works = False
    with pytest.raises(StorageUnavailable):
        await parts.intake.accept(status("one"))
    parts.store.works = True
    assert parts.intake.accept(status("one")).done() is True


async def test_unannounced_changes() -> None:
    """A change that is not announced enters the roster, after those announced before it."""
    parts = Parts()
    saved = parts.intake.accept(status("one"))
    parts.clock.advance(seconds=1)
    parts.intake.acted(WHO)
    assert not parts.roster.knows(BOB)
    await saved
    assert parts.roster.get(BOB) == parts.tracker.get(BOB)
    assert parts.roster.get(BOB).last_active_ts == parts.clock.now()
    assert len(parts.told) == 1


async def test_devices() -> None:
    """The owner of a user knows the user's devices."""
    parts = Parts()
    parts.intake.accept(status("one"))
    assert [it.device_id for it in parts.intake.devices_of(BOB)] == [PHONE]
    assert parts.intake.devices_of(ALICE) == ()


async def test_a_process_that_stood_still() -> None:
    """After the process stood still, polls that have come meanwhile count before the grace ends."""
    for has_polled, presence in ((True, Presence.ONLINE), (False, Presence.OFFLINE)):
        parts = Parts(clock=(clock := BusyClock()))
        for event in (status("one"), Syncing(BOB, PHONE), SyncEnded(BOB, PHONE)):
            parts.intake.accept(event)
        clock.be_late(minutes=1)
        clock.advance(seconds=30)
        if has_polled:
            parts.intake.accept(Syncing(BOB, PHONE))
        clock.advance(milliseconds=99)
        assert parts.tracker.get(BOB).state is Presence.ONLINE
        clock.advance(milliseconds=1)
        assert parts.tracker.get(BOB).state is presence

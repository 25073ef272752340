"""The ledger of changes: the updates that have arrived, and those that have not."""

import pytest

from bench.errors import ConnectionLost, Undelivered
from bench.ledger import Ledger

#: Users 0 and 1 are told of each other; 2 is told of both.
AUDIENCES = [frozenset({1, 2}), frozenset({0, 2}), frozenset[int]()]


async def test_all_have_received() -> None:
    """The run has settled when every watcher has the last change, even if it skipped others."""
    ledger = Ledger(AUDIENCES)
    ledger.publish(0)
    change = ledger.publish(0)
    ledger.receive(1, 0, change)
    ledger.receive(2, 0, change)
    await ledger.settled(0)
    assert (ledger.delivered, len(ledger.latencies)) == (2, 2)


async def test_final_state_that_is_missing() -> None:
    """A pair without the last change fails the run by name; older changes do not help."""
    ledger = Ledger(AUDIENCES)
    first, second = ledger.publish(0), ledger.publish(0)
    other = ledger.publish(1)
    for watcher, publisher, change in [(1, 0, second), (2, 0, first), (0, 1, other)]:
        ledger.receive(watcher, publisher, change)
    with pytest.raises(Undelivered) as caught:
        await ledger.settled(0)
    assert caught.value.pairs == (
        ("watcher 2", "publisher 0"),
        ("watcher 2", "publisher 1"),
    )
    assert str(caught.value) == (
        "watcher 2 has not received the final state of publisher 0, and 1 more pairs"
    )


def test_what_is_not_counted() -> None:
    """An update that comes twice counts once; one's own, and uninvited ones, never."""
    ledger = Ledger(AUDIENCES)
    change = ledger.publish(0)
    for watcher in (1, 1, 0):
        ledger.receive(watcher, 0, change)
    assert ledger.delivered == 1


def test_counting_anew() -> None:
    """Counting can begin anew; a change that is still on its way counts from then on."""
    ledger = Ledger(AUDIENCES)
    change = ledger.publish(0)
    ledger.receive(1, 0, change)
    ledger.start_anew()
    ledger.receive(2, 0, change)
    assert (ledger.delivered, len(ledger.latencies)) == (1, 1)


async def test_failure() -> None:
    """A connection that is lost ends the waiting for updates."""
    ledger = Ledger(AUDIENCES)
    ledger.publish(0)
    ledger.fail(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost, match="gone"):
        await ledger.settled(60)

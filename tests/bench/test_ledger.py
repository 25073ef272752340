"""The book of who has received what."""

import pytest

from bench.errors import ConnectionLost, Undelivered
from bench.ledger import Ledger

#: Users 0 and 1 are told of each other; 2 is told of both.
AUDIENCES = [frozenset({1, 2}), frozenset({0, 2}), frozenset[int]()]


async def test_all_have_received() -> None:
    """A run has settled when every watcher has the last word of every publisher."""
    ledger = Ledger(AUDIENCES)
    word = ledger.publish(0)
    ledger.receive(1, 0, word)
    ledger.receive(2, 0, word)
    await ledger.settled(0)
    assert (ledger.delivered, len(ledger.latencies)) == (2, 2)


async def test_final_state_that_is_missing() -> None:
    """A pair without its last word fails the run, which says which; older words do not help."""
    ledger = Ledger(AUDIENCES)
    first, second = ledger.publish(0), ledger.publish(0)
    other = ledger.publish(1)
    for watcher, publisher, word in [(1, 0, second), (2, 0, first), (0, 1, other)]:
        ledger.receive(watcher, publisher, word)
    with pytest.raises(Undelivered) as caught:
        await ledger.settled(0)
    assert caught.value.pairs == (
        ("watcher 2", "publisher 0"),
        ("watcher 2", "publisher 1"),
    )
    assert str(caught.value) == (
        "watcher 2 has not received the final state of publisher 0, and 1 more pairs"
    )


async def test_words_that_are_skipped() -> None:
    """The last word settles a pair, also where the words before it never came."""
    ledger = Ledger(AUDIENCES)
    ledger.publish(0)
    last = ledger.publish(0)
    ledger.receive(1, 0, last)
    ledger.receive(2, 0, last)
    await ledger.settled(0)
    assert ledger.delivered == 2


def test_what_is_not_counted() -> None:
    """An update that comes twice counts once; one's own, and uninvited ones, never."""
    ledger = Ledger(AUDIENCES)
    word = ledger.publish(0)
    for watcher in (1, 1, 0):
        ledger.receive(watcher, 0, word)
    assert ledger.delivered == 1


def test_counting_anew() -> None:
    """What was counted can be forgotten; a word that is still on its way counts from then on."""
    ledger = Ledger(AUDIENCES)
    word = ledger.publish(0)
    ledger.receive(1, 0, word)
    ledger.start_anew()
    ledger.receive(2, 0, word)
    assert (ledger.delivered, len(ledger.latencies)) == (1, 1)


async def test_failure() -> None:
    """A connection that is lost ends the waiting for updates."""
    ledger = Ledger(AUDIENCES)
    ledger.publish(0)
    ledger.fail(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost, match="gone"):
        await ledger.settled(60)

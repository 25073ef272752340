"""The consumer of the stream: each entry goes to the part that does what follows from it."""

from structlog.testing import capture_logs

from lamplighter.cluster.entries import Abandoned, Changed, Deactivated, Entry, Forgotten
from lamplighter.cluster.local import LocalStream
from lamplighter.delivery.feed import Feed
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import StreamPosition
from lamplighter.service.consumer import StreamConsumer
from tests.routing.people import ALICE, BOB, HALL
from tests.service.parts import TIMEOUT, Parts


def test_a_part_that_fails() -> None:
    """A part that raises costs its own entry: the feed goes on, and so do the entries after it."""
    clock, seen = FakeClock(), list[tuple[StreamPosition, Entry]]()
    stream = LocalStream(clock)
    feed = Feed(clock, stream.position, TIMEOUT)

    def fails(_position: StreamPosition, _entry: Deactivated) -> None:
        raise ZeroDivisionError

    def works(position: StreamPosition, entry: Forgotten) -> None:
        seen.append((position, entry))

    stream.hand_to(StreamConsumer(feed, {Deactivated: fails, Forgotten: works}))
    with capture_logs() as logs:
        stream.append(Deactivated(ALICE))
        stream.append(Forgotten(BOB))
    assert [line["event"] for line in logs] == ["publishing failed"]
    assert (seen, feed.position) == ([(stream.position, Forgotten(BOB))], stream.position)


async def test_two_nodes_agree() -> None:
    """A node that is handed the entries of another one has the same roster and outboxes."""
    owner, other = Parts(), Parts()
    for parts in (owner, other):
        parts.room(HALL, ALICE, BOB)
        parts.feed.open(ALICE)
    for message in ("one", "two"):
        await owner.publish(BOB, message)
    for published in owner.told:
        other.stream.append(Changed(tuple(published.changes), published.routes, {}))
    assert other.roster.known() == owner.roster.known()
    assert other.heard(ALICE) == owner.heard(ALICE) == [(BOB, "two")]
    assert other.store.saves == []


async def test_an_entry_about_an_unknown_batch() -> None:
    """A node that has not seen a batch does nothing at the end of its late answers."""
    parts = Parts()
    parts.stream.append(Abandoned(StreamPosition(7)))
    assert (parts.roster.known(), parts.store.saves) == ([], [])

"""The stream of a single node."""

import pytest

from lamplighter.clock import Timestamp
from lamplighter.cluster.entries import Deactivated, Entry
from lamplighter.cluster.local import LocalStream
from lamplighter.cluster.positions import at_time
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import StreamPosition, UserId

ENTRY = Deactivated(UserId("@alice:demo"))
OTHER = Deactivated(UserId("@bob:demo"))


def test_handed_on_in_order() -> None:
    """The consumer has an entry, at its position, before `append` returns and *then* is called."""
    stream, seen = LocalStream(FakeClock()), list[tuple[StreamPosition, Entry | None]]()
    stream.hand_to(lambda position, entry: seen.append((position, entry)))
    first = stream.position
    stream.append(ENTRY)
    stream.append(OTHER, lambda position: seen.append((position, None)))
    assert seen == [
        (StreamPosition(first + 1), ENTRY),
        (StreamPosition(first + 2), OTHER),
        (StreamPosition(first + 2), None),
    ]


def test_positions_grow() -> None:
    """Every entry has a larger position than what was before it, within a millisecond too."""
    clock = FakeClock()
    stream = LocalStream(clock)
    stream.hand_to(lambda position, _entry: positions.append(position))
    positions = [stream.position]
    stream.append(ENTRY)
    positions.append(stream.advance())
    clock.advance(milliseconds=1)
    stream.append(ENTRY)
    before, start = positions[0], at_time(clock.now())
    assert positions == [before, before + 1, before + 2, start]
    assert stream.position == start


def test_one_consumer() -> None:
    """There is one consumer, and nothing is appended before there is."""
    stream = LocalStream(FakeClock())
    with pytest.raises(RuntimeError, match="no consumer"):
        stream.append(ENTRY)
    stream.hand_to(lambda _position, _entry: None)
    with pytest.raises(RuntimeError, match="a consumer"):
        stream.hand_to(lambda _position, _entry: None)


def test_after_a_restart() -> None:
    """A stream begins at the clock, or well after the last position where that is not earlier."""
    clock = FakeClock()
    last = at_time(clock.now())
    a_second = at_time(Timestamp(1_000))
    assert LocalStream(clock, last).position == last + a_second + 1
    clock.advance(seconds=2)
    assert LocalStream(clock, last).position == last + 2 * a_second
    ahead = StreamPosition(last + 2**40)
    assert LocalStream(clock, ahead).position == ahead + a_second + 1

"""The stream of a single node."""

from lamplighter.clock import Timestamp
from lamplighter.cluster.local import LocalBus
from lamplighter.cluster.positions import at_time
from lamplighter.devtools.clock import FakeClock
from lamplighter.ids import StreamPosition


def test_positions_grow() -> None:
    """Every batch has a larger position than the one before, within a millisecond too."""
    clock = FakeClock()
    bus = LocalBus(clock)
    positions = [bus.position, bus.append(()), bus.append(())]
    clock.advance(milliseconds=1)
    positions.append(bus.append(()))
    start = at_time(clock.now())
    before = positions[0]
    assert positions == [before, before + 1, before + 2, start]
    assert bus.position == start


def test_the_last_position_is_told() -> None:
    """The bus knows the position of its last batch."""
    bus = LocalBus(FakeClock())
    appended = bus.append(())
    assert bus.position == appended


def test_after_a_restart() -> None:
    """A new bus begins at the clock, or well after the last position where that is not earlier."""
    clock = FakeClock()
    last = at_time(clock.now())
    a_second = at_time(Timestamp(1_000))
    assert LocalBus(clock, last).position == last + a_second + 1
    clock.advance(seconds=2)
    assert LocalBus(clock, last).position == last + 2 * a_second
    ahead = StreamPosition(last + 2**40)
    assert LocalBus(clock, ahead).position == ahead + a_second + 1

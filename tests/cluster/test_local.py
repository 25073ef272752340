"""The stream of a single node."""

from lamplighter.cluster.local import LocalBus
from lamplighter.cluster.positions import at_time, following
from lamplighter.devtools.clock import FakeClock


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
    """A new bus goes on after the last position, even where the clock was set back meanwhile."""
    clock = FakeClock()
    last = at_time(clock.now())
    clock.advance(seconds=1)
    assert LocalBus(clock, last).position == at_time(clock.now())
    ahead = following(last, clock.now()) + 2**40
    assert LocalBus(clock, type(last)(ahead)).position == ahead + 1

"""The clock of a cluster: the time of the log's server, which never goes back."""

from datetime import timedelta

from lamplighter.clock import Timestamp, after
from lamplighter.cluster.time import ClusterClock
from lamplighter.devtools.clock import START, FakeClock

HOUR = timedelta(hours=1)


def test_a_machine_that_is_wrong() -> None:
    """Once it was set, the clock tells the time of the log's server; a machine may be hours off."""
    own = FakeClock()
    clock = ClusterClock(own)
    assert clock.now() == START
    clock.set(after(START, HOUR))
    own.advance(seconds=2)
    assert clock.now() == after(START, HOUR + timedelta(seconds=2))


def test_never_back() -> None:
    """If the log's server is set back, the clock stands still until that has caught up."""
    own = FakeClock()
    clock = ClusterClock(own)
    clock.set(after(START, HOUR))
    latest = clock.now()
    clock.set(after(START, timedelta(minutes=59)))
    assert clock.now() == latest
    own.advance(seconds=61)
    assert clock.now() == after(latest, timedelta(seconds=1))


def test_the_way_of_the_answer() -> None:
    """A difference up to 50 ms is taken for the way of an answer."""
    own = FakeClock()
    clock = ClusterClock(own)
    clock.set(Timestamp(START + 50))
    assert clock.now() == START
    clock.set(Timestamp(START + 51))
    assert clock.now() == START + 51


def test_timers() -> None:
    """A timer comes at its instant by the time of the log's server."""
    own = FakeClock()
    clock = ClusterClock(own)
    clock.set(after(START, HOUR))
    called: list[Timestamp] = []
    clock.call_at(after(START, HOUR + timedelta(seconds=5)), lambda: called.append(own.now()))
    own.advance(seconds=10)
    assert called == [after(START, timedelta(seconds=5))]

"""The clock that is turned by hand."""

from dataclasses import dataclass
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from lamplighter.clock import Timer, Timestamp
from lamplighter.devtools.clock import FakeClock


def test_time_stands_still() -> None:
    """Time begins with the year 2024 by default, passes only by command, and then exactly."""
    assert FakeClock().now() == 1_704_067_200_000
    clock = FakeClock(Timestamp(1_000))
    assert [clock.now(), clock.now()] == [1_000, 1_000]
    clock.advance(seconds=1, milliseconds=5)
    assert clock.now() == 2_005
    clock.advance_to(Timestamp(1_500))
    assert clock.now() == 2_005


def test_a_timer_that_sets_a_timer() -> None:
    """A timer may set another, which fires in the same stretch of time if it is due then."""
    clock = FakeClock(Timestamp(0))
    fired: list[int] = []

    def again() -> None:
        fired.append(clock.now())
        clock.call_at(Timestamp(clock.now() + 10), again)

    clock.call_at(Timestamp(5), again)
    clock.advance(milliseconds=26)
    assert (fired, clock.next_timer()) == ([5, 15, 25], 35)


def test_cancelled_timers() -> None:
    """A timer that was cancelled, even by another at the same instant, does not fire."""
    clock = FakeClock(Timestamp(0))
    fired: list[str] = []
    clock.call_at(Timestamp(10), lambda: second.cancel())
    second = clock.call_at(Timestamp(10), lambda: fired.append("second"))
    clock.call_at(Timestamp(5), lambda: fired.append("first")).cancel()
    clock.advance(milliseconds=10)
    second.cancel()
    assert (fired, clock.next_timer()) == ([], None)


# --- against a plain list of what is to come


@dataclass(frozen=True)
class Set:
    after: int


@dataclass(frozen=True)
class Cancel:
    index: int


@dataclass(frozen=True)
class Pass:
    time: int


steps = st.lists(
    st.builds(Set, st.integers(-5, 30))
    | st.builds(Cancel, st.integers(0, 5))
    | st.builds(Pass, st.integers(0, 20))
)


@given(steps)
def test_any_history(steps: list[Set | Cancel | Pass]) -> None:
    """After any history, exactly the due timers that were not cancelled have fired, in order."""
    clock = FakeClock(Timestamp(0))
    fired: list[tuple[int, int]] = []
    timers: list[Timer] = []
    coming: dict[int, int] = {}
    expected: list[tuple[int, int]] = []

    def fire(number: int) -> None:
        fired.append((number, clock.now()))

    for step in steps:
        if isinstance(step, Set):
            number, when = len(timers), clock.now() + step.after
            timers.append(clock.call_at(Timestamp(when), partial(fire, number)))
            coming[number] = max(when, clock.now())
        elif isinstance(step, Cancel) and step.index < len(timers):
            timers[step.index].cancel()
            coming.pop(step.index, None)
        elif isinstance(step, Pass):
            until = clock.now() + step.time
            due = sorted((when, number) for number, when in coming.items() if when <= until)
            expected += [(number, when) for when, number in due]
            for _, number in due:
                del coming[number]
            clock.advance(milliseconds=step.time)
            assert clock.now() == until
        assert clock.next_timer() == min(coming.values(), default=None)
    assert fired == expected

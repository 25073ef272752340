"""Delayed and looping calls, on a fake clock."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns
from lamplighter.modules.background import BackgroundWork, Label
from lamplighter.modules.calls import DelayedCall, LoopingCall, Work, duration_of

LABEL = Label("MyModule", "my call")
SECOND = timedelta(seconds=1)


def noting(times: list[int], clock: FakeClock) -> Work:
    """Return work that notes the milliseconds since now."""
    start = clock.now()

    async def note() -> None:
        times.append(clock.now() - start)

    return note


async def nothing() -> None:
    """Do nothing."""


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test advances."""
    return FakeClock()


@pytest.fixture
async def background(clock: FakeClock) -> AsyncIterator[BackgroundWork]:
    """Background work that runs."""
    background = BackgroundWork(clock)
    background.start()
    yield background
    await background.stop()


async def pass_seconds(clock: FakeClock, seconds: int) -> None:
    """Advance the clock second by second, and let all tasks go on."""
    for _ in range(seconds):
        clock.advance(seconds=1)
        await turns(10)


async def test_delayed_call(clock: FakeClock, background: BackgroundWork) -> None:
    """A delayed call happens once, at its time."""
    done: list[int] = []
    call = DelayedCall(background, LABEL, noting(done, clock), 3 * SECOND)
    await pass_seconds(clock, 2)
    assert (done, call.active()) == ([], True)
    await pass_seconds(clock, 5)
    assert (done, call.active()) == ([3000], False)


async def test_cancelled_delayed_call(clock: FakeClock, background: BackgroundWork) -> None:
    """A delayed call that is cancelled does not happen."""
    done: list[int] = []
    call = DelayedCall(background, LABEL, noting(done, clock), SECOND)
    call.cancel()
    await pass_seconds(clock, 2)
    assert (done, call.active(), clock.next_timer()) == ([], False, None)


@pytest.mark.parametrize(("now", "expected"), [(False, [2, 4, 6]), (True, [0, 2, 4, 6])])
async def test_looping_call(
    clock: FakeClock, background: BackgroundWork, now: bool, expected: list[int]
) -> None:
    """A looping call happens after one period, or at once, and then in every period."""
    times: list[int] = []
    LoopingCall(background, LABEL, noting(times, clock), 2 * SECOND, now=now)
    await turns(10)
    await pass_seconds(clock, 7)
    assert times == [seconds * 1000 for seconds in expected]


async def test_exception_does_not_end_the_loop(
    clock: FakeClock, background: BackgroundWork, logged: list[Any]
) -> None:
    """A looping call that raises is logged with the module's name, and goes on."""
    times: list[int] = []

    async def fail() -> None:
        times.append(1)
        raise RuntimeError("no chain today")

    LoopingCall(background, LABEL, fail, SECOND)
    await pass_seconds(clock, 61)
    assert len(times) == 61
    assert [(line["module"], line["desc"]) for line in logged] == [("MyModule", "my call")] * 2
    assert [line.get("left_out") for line in logged] == [None, 59]  # one line a minute


async def test_slow_call_does_not_pile_up(clock: FakeClock, background: BackgroundWork) -> None:
    """A call begins after the one before has ended; missed calls are not made up for."""
    start, began, end = clock.now(), list[int](), asyncio.Event()

    async def work() -> None:
        began.append(clock.now() - start)
        await end.wait()

    LoopingCall(background, LABEL, work, SECOND)
    await pass_seconds(clock, 5)
    assert began == [1000]
    end.set()
    await turns(10)
    assert clock.next_timer() == start + 6000
    await pass_seconds(clock, 2)
    assert began == [1000, 6000, 7000]


async def test_stopped_loop(clock: FakeClock, background: BackgroundWork) -> None:
    """A looping call that is stopped makes no further calls."""
    times: list[int] = []
    call = LoopingCall(background, LABEL, noting(times, clock), SECOND)
    await pass_seconds(clock, 1)
    call.stop()
    await pass_seconds(clock, 3)
    assert (times, call.running, clock.next_timer()) == ([1000], False, None)


async def test_nothing_is_left_after_the_stop(clock: FakeClock) -> None:
    """When the server stops, no call is left."""
    background = BackgroundWork(clock)
    background.start()
    LoopingCall(background, LABEL, nothing, SECOND)
    DelayedCall(background, LABEL, nothing, SECOND)
    await background.stop()
    assert clock.next_timer() is None
    LoopingCall(background, LABEL, nothing, SECOND)
    assert clock.next_timer() is None


async def test_calls_before_the_start(clock: FakeClock) -> None:
    """The time of a call from before the start counts from the start."""
    background = BackgroundWork(clock)
    times: list[int] = []
    LoopingCall(background, LABEL, noting(times, clock), SECOND)
    await pass_seconds(clock, 5)
    background.start()
    await pass_seconds(clock, 1)
    assert times == [6000]
    await background.stop()


def test_endless_speed(clock: FakeClock) -> None:
    """A looping call without a period is refused."""
    with pytest.raises(ValueError, match="at least a millisecond"):
        LoopingCall(BackgroundWork(clock), LABEL, nothing, timedelta(0))


def test_durations() -> None:
    """A duration is a number of units, or a timedelta."""
    assert duration_of(1500, timedelta(milliseconds=1)) == timedelta(seconds=1.5)
    assert duration_of(timedelta(minutes=2), SECOND) == timedelta(minutes=2)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "10s", None])
def test_what_is_no_duration(value: float) -> None:
    """A negative or infinite duration, and one that is no number, is refused."""
    with pytest.raises(ValueError):
        duration_of(value, SECOND)

"""The system clock, and waiting with a clock."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from lamplighter.clock import SystemClock, Timestamp, after, milliseconds, sleep, within
from lamplighter.devtools.clock import FakeClock
from tests.routing.callbacks import turns

SECOND = timedelta(seconds=1)


class Work:
    """Work that a test ends, and that notes its cancellation."""

    def __init__(self) -> None:
        self.result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.cancelled = False

    async def __call__(self) -> str:
        try:
            return await self.result
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@pytest.mark.parametrize(
    ("duration", "count"),
    [
        (timedelta(0), 0),
        (timedelta(seconds=1.5), 1500),
        (timedelta(microseconds=1999), 1),
        (timedelta(days=1), 86_400_000),
    ],
)
def test_durations_in_milliseconds(duration: timedelta, count: int) -> None:
    """A duration is rounded down to whole milliseconds."""
    assert milliseconds(duration) == count
    assert after(Timestamp(1000), duration) == 1000 + count


async def test_sleep() -> None:
    """`sleep` ends at its instant, and not a millisecond before."""
    clock = FakeClock()
    sleeping = asyncio.ensure_future(sleep(clock, SECOND))
    await turns()
    clock.advance(milliseconds=999)
    await turns()
    assert not sleeping.done()
    clock.advance(milliseconds=1)
    await turns()
    assert sleeping.done()


async def test_sleep_that_is_cancelled() -> None:
    """A cancelled `sleep` leaves no timer behind."""
    clock = FakeClock()
    sleeping = asyncio.ensure_future(sleep(clock, SECOND))
    await turns()
    sleeping.cancel()
    await turns()
    assert clock.next_timer() is None


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda result: result.set_result("done"), "done"),
        (lambda result: result.set_exception(LookupError("lost")), LookupError),
        (lambda result: result.cancel(), asyncio.CancelledError),
    ],
    ids=["returns", "raises", "cancels-itself"],
)
async def test_within_the_limit(
    end: Callable[["asyncio.Future[str]"], None], outcome: str | type[BaseException]
) -> None:
    """The caller gets what work that ends in time returns or raises; no timer is left behind."""
    clock, work = FakeClock(), Work()
    waiting = asyncio.ensure_future(within(clock, SECOND, work()))
    await turns()
    clock.advance(milliseconds=999)
    end(work.result)
    if isinstance(outcome, str):
        assert await waiting == outcome
    else:
        with pytest.raises(outcome):
            await waiting
    assert clock.next_timer() is None


async def test_beyond_the_limit() -> None:
    """Work that takes too long is cancelled, and the caller gets a `TimeoutError`."""
    clock, work = FakeClock(), Work()
    waiting = asyncio.ensure_future(within(clock, SECOND, work()))
    await turns()
    clock.advance(seconds=1)
    with pytest.raises(TimeoutError):
        await waiting
    assert work.cancelled


async def test_a_caller_that_is_cancelled() -> None:
    """A caller that is cancelled cancels the work, without a time-out."""
    clock, work = FakeClock(), Work()
    waiting = asyncio.ensure_future(within(clock, SECOND, work()))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await turns()
    assert (work.cancelled, clock.next_timer()) == (True, None)


async def test_system_clock() -> None:
    """The system clock gives the machine's time in milliseconds, and calls due timers."""
    clock = SystemClock()
    before = time.time_ns() // 1_000_000  # noqa: TID251 - what the clock is compared with
    now = clock.now()
    assert before <= now <= time.time_ns() // 1_000_000  # noqa: TID251 - as above
    called = asyncio.Event()
    clock.call_at(Timestamp(now - 10_000), called.set)
    await called.wait()


async def test_system_clock_timer_is_cancelled() -> None:
    """A cancelled timer makes no call."""
    clock = SystemClock()
    called: list[str] = []
    timer = clock.call_at(clock.now(), lambda: called.append("first"))
    timer.cancel()
    second = asyncio.Event()
    clock.call_at(clock.now(), second.set)
    await second.wait()
    assert called == []


class Machine:
    """A machine's two clocks, in nanoseconds."""

    def __init__(self) -> None:
        self.wall = 1_704_067_200 * 10**9
        self.steady = 77 * 10**9
        self.clock = SystemClock(lambda: self.wall, lambda: self.steady)

    def run(self, seconds: float) -> int:
        """Let time pass in steps of a quarter second; return the milliseconds on the clock."""
        before = self.clock.now()
        for _ in range(int(seconds * 4)):
            self.wall += 250_000_000
            self.steady += 250_000_000
            self.clock.now()
        return self.clock.now() - before


@pytest.mark.parametrize("step", [3_600, -3_600])
def test_a_step_of_the_wall_clock(step: int) -> None:
    """If the wall clock is set by an hour, thirty seconds differ by at most a twentieth, and in the
    end the clock agrees with the wall clock.
    """
    machine = Machine()
    assert machine.run(30) == 30_000
    machine.wall += step * 10**9
    assert 28_500 <= machine.run(30) <= 31_500
    machine.run(3_600 * 20)
    assert abs(machine.clock.now() - machine.wall // 1_000_000) <= 50


@pytest.mark.parametrize("step", [3_600, 1, 0.01, -0.01, -1, -3_600])
def test_instants_never_go_back(step: float) -> None:
    """Instants never go back, for any step of the wall clock."""
    machine = Machine()
    machine.wall += int(step * 10**9)
    instants = [machine.clock.now() for _ in range(200) if machine.run(0.25) >= 0]
    assert instants == sorted(instants)


def test_a_small_correction() -> None:
    """A difference of less than a twentieth of the passed time is corrected at once."""
    machine = Machine()
    machine.wall += 40_000_000
    assert machine.run(1) == 1_040
    assert machine.clock.now() == machine.wall // 1_000_000

"""Work that no request waits for."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.service.background import Background, Burst, InTurn


async def test_work_that_fails_now_and_then() -> None:
    """Periodic work goes on after a failure, until the server stops."""
    clock, calls = FakeClock(), []
    background = Background(clock)

    def work() -> None:
        calls.append(clock.now())
        if len(calls) == 2:
            raise ZeroDivisionError

    began = clock.now()
    background.every(timedelta(seconds=1), work)
    clock.advance(seconds=1)
    with pytest.raises(ZeroDivisionError):
        clock.advance(seconds=1)
    clock.advance(seconds=1)
    background.stop()
    clock.advance(seconds=5)
    assert [it - began for it in calls] == [1_000, 2_000, 3_000]


async def test_work_that_is_done_once() -> None:
    """Work that is under way ends when the server stops; a failure is in the log."""
    background = Background(FakeClock())

    async def fail() -> None:
        raise ZeroDivisionError

    with capture_logs() as logs:
        background.run(fail())
        waiting = background.run(_forever())
        assert background.is_busy
        await turns_until_idle()
        background.stop()
        await turns_until_idle()
    assert [it["event"] for it in logs] == ["background work failed"]
    assert (waiting.cancelled(), background.is_busy) == (True, False)


async def test_work_in_turn() -> None:
    """So much is done at a time, the rest in its order, and nothing after the end."""
    background, begun = Background(FakeClock()), list[int]()
    in_turn, ended = InTurn(background, 2), [asyncio.Event() for _ in range(5)]

    async def work(number: int) -> None:
        begun.append(number)
        await ended[number].wait()

    for number in range(5):
        in_turn.run(partial(work, number))
    await turns_until_idle()
    assert begun == [0, 1]
    ended[1].set()
    await turns_until_idle()
    assert begun == [0, 1, 2]
    ended[0].set()
    ended[3].set()
    await turns_until_idle()
    assert begun == [0, 1, 2, 3, 4]
    in_turn.run(partial(work, 0))
    background.stop()
    await turns_until_idle()
    assert (begun, background.is_busy) == ([0, 1, 2, 3, 4], False)


async def test_work_in_turn_begins_again() -> None:
    """Once all of it is done, new work begins at once."""
    background, done = Background(FakeClock()), list[int]()
    in_turn = InTurn(background, 1)

    async def work(number: int) -> None:
        done.append(number)

    for number in range(2):
        in_turn.run(partial(work, number))
        await turns_until_idle()
        assert (done, background.is_busy) == ([*range(number + 1)], False)


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_a_burst() -> None:
    """What comes in one cycle of the event loop is spread over the next ones; a cycle later the
    burst is over. What is more than one cycle takes is not divided.
    """
    burst = Burst(10)
    assert [burst.cycles(amount) for amount in (4, 0, 6, 1, 25, 4)] == [0, 0, 0, 1, 3, 3]
    await turns_until_idle()
    assert burst.cycles(10) == 0

"""Work that no request waits for."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns_until_idle
from lamplighter.service.background import Background


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


async def _forever() -> None:
    await asyncio.Event().wait()

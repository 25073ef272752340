"""Background work: when it begins, how it ends, and where its exceptions go."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.devtools.turns import turns
from lamplighter.errors import ShuttingDown
from lamplighter.modules.background import BackgroundWork, Label, resolved

LABEL = Label("MyModule", "my work")


async def double(number: int) -> int:
    """Return twice *number*."""
    return 2 * number


async def fail() -> int:
    """Raise a KeyError."""
    return {"a": 1}["x"]


async def exit_now() -> int:
    """Try to end the process."""
    raise SystemExit(3)


@pytest.fixture
async def background() -> AsyncIterator[BackgroundWork]:
    """Background work that has begun."""
    background = BackgroundWork(FakeClock())
    background.start()
    yield background
    await background.stop()


async def test_work_waits_for_the_start() -> None:
    """Work from before the start begins with it, and its result can be awaited."""
    background, done = BackgroundWork(FakeClock()), list[int]()

    async def note() -> None:
        done.append(1)

    job = background.run(LABEL, note)
    await turns(3)
    assert done == []
    background.start()
    await job
    assert done == [1]
    await background.stop()


async def test_work_from_a_thread(background: BackgroundWork) -> None:
    """Work from another thread is done in the server's loop; the thread can wait for the result."""
    threads: list[threading.Thread] = []

    async def work() -> int:
        threads.append(threading.current_thread())
        return 7

    def ask() -> int:
        return background.run(LABEL, work).result()

    assert await asyncio.get_running_loop().run_in_executor(None, ask) == 7
    assert threads == [threading.main_thread()]


async def test_exceptions_are_logged(background: BackgroundWork, logged: list[Any]) -> None:
    """An exception is logged with the module's name, and raised where the job is awaited."""
    with pytest.raises(KeyError):
        await background.run(LABEL, fail)
    assert logged == [
        {
            "event": "background work failed",
            "log_level": "error",
            "module": "MyModule",
            "desc": "my work",
            "exc_info": True,
        }
    ]


async def test_quiet_work(background: BackgroundWork, logged: list[Any]) -> None:
    """A quiet job has the result, or None if the work raises, also if it is a SystemExit."""
    assert await background.run_quietly(LABEL, lambda: double(1)) == 2
    assert await background.run_quietly(LABEL, fail) is None
    assert await background.run_quietly(LABEL, exit_now) is None
    assert [line["event"] for line in logged] == ["background work failed"] * 2


async def test_stop_cancels(background: BackgroundWork) -> None:
    """Work that runs when the server stops is cancelled, and its job says why."""
    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    job = background.run(LABEL, lambda: resolved(forever))
    await turns(3)
    await background.stop()
    with pytest.raises(ShuttingDown, match="my work: the server stops"):
        await job
    assert forever.cancelled()


@pytest.mark.parametrize("started", [False, True])
async def test_work_that_never_begins(started: bool) -> None:
    """Work that has not begun when the server stops, and work after that, never begins."""
    background = BackgroundWork(FakeClock())
    jobs = [] if started else [background.run(LABEL, lambda: double(1))]
    if started:
        background.start()
    await background.stop()
    jobs.append(background.run(LABEL, lambda: double(1)))
    for job in jobs:
        with pytest.raises(ShuttingDown):
            await job


async def test_stubborn_work(logged: list[Any]) -> None:
    """Work that does not end when it is cancelled delays the stop for a bounded time."""
    clock = FakeClock()
    background = BackgroundWork(clock)
    background.start()
    end = asyncio.Event()

    async def refuse() -> None:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                clock.advance(seconds=3)

    job = background.run(LABEL, refuse)
    await turns(3)
    stopping = asyncio.ensure_future(background.stop())
    while not stopping.done():
        clock.advance(seconds=1)
        await turns(3)
    assert [(line["event"], line["task"]) for line in logged] == [
        ("background work does not end", "MyModule: my work")
    ]
    end.set()
    await job


async def test_cancelled_waiter(background: BackgroundWork) -> None:
    """The cancellation of a task that awaits a job does not cancel the job."""
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    job = background.run(LABEL, lambda: resolved(result))
    waiter = asyncio.ensure_future(resolved(job))
    await turns(3)
    waiter.cancel()
    await asyncio.wait([waiter])
    result.set_result(5)
    assert await job == 5


async def test_another_loop(background: BackgroundWork) -> None:
    """`in_server_loop` does the work in the server's loop, called from any loop."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> int:
        loops.append(asyncio.get_running_loop())
        return 9

    here = asyncio.get_running_loop()
    asked = background.in_server_loop(LABEL, note)
    assert await here.run_in_executor(None, lambda: asyncio.run(asked)) == 9
    assert loops == [here]

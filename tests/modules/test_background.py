"""Background work: when it begins, how it ends, and what becomes of exceptions."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from lamplighter.devtools.clock import FakeClock
from lamplighter.errors import ShuttingDown
from lamplighter.modules.background import BackgroundWork, Label, resolved

LABEL = Label("MyModule", "my work")


async def note(done: list[int]) -> None:
    """Leave a mark in *done*."""
    done.append(1)


async def double(number: int) -> int:
    """Return twice *number*."""
    return 2 * number


async def fail() -> int:
    """Raise a KeyError."""
    return {"a": 1}["x"]


@pytest.fixture
def background() -> BackgroundWork:
    """Background work that has not been started."""
    return BackgroundWork(FakeClock())


async def test_work_waits_for_the_start(background: BackgroundWork) -> None:
    """What is asked for before the start begins with it, and its result can be awaited."""
    done: list[int] = []
    job = background.run(LABEL, lambda: note(done))
    await asyncio.wait([asyncio.ensure_future(double(1))])
    assert done == []
    background.start()
    await job
    assert done == [1]
    await background.stop()


async def test_work_may_be_async(background: BackgroundWork) -> None:
    """An async function's result is the job's."""
    background.start()
    assert await background.run(LABEL, lambda: double(21)) == 42
    await background.stop()


async def test_work_from_a_thread(background: BackgroundWork) -> None:
    """Work asked for in another thread is done in the server's loop."""
    background.start()
    threads: list[threading.Thread] = []
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        threads.append(threading.current_thread())
        result.set_result(7)

    thread = threading.Thread(target=lambda: background.run(LABEL, work))
    thread.start()
    assert await result == 7
    thread.join()
    assert threads == [threading.main_thread()]
    await background.stop()


async def test_thread_can_wait_for_the_result(background: BackgroundWork) -> None:
    """A thread can wait for a job's result."""
    background.start()
    loop = asyncio.get_running_loop()
    job = background.run(LABEL, lambda: double(4))
    assert await loop.run_in_executor(None, job.result) == 8
    await background.stop()


async def test_exceptions_are_logged(background: BackgroundWork) -> None:
    """An exception is logged with the module's name, and given to whoever awaits the job."""
    background.start()
    with capture_logs() as lines:
        job = background.run(LABEL, fail)
        with pytest.raises(KeyError):
            await job
    assert lines == [
        {
            "event": "background work failed",
            "log_level": "error",
            "module": "MyModule",
            "desc": "my work",
            "exc_info": True,
        }
    ]
    await background.stop()


async def test_exit_of_a_module(background: BackgroundWork) -> None:
    """A module that calls sys.exit in the background does not end the server."""
    background.start()
    with capture_logs() as lines:
        assert await background.run_quietly(LABEL, exit_now) is None
    assert [line["event"] for line in lines] == ["background work failed"]
    await background.stop()


async def exit_now() -> int:
    """End the process, or try to."""
    raise SystemExit(3)


async def test_quiet_work(background: BackgroundWork) -> None:
    """A quiet job gives the result, or None where the work raises."""
    background.start()
    with capture_logs():
        assert await background.run_quietly(LABEL, lambda: double(1)) == 2
        assert await background.run_quietly(LABEL, fail) is None
    await background.stop()


async def test_stop_cancels(background: BackgroundWork) -> None:
    """What is under way at the stop is cancelled; whoever awaits it is told why."""
    background.start()
    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    job = background.run(LABEL, lambda: resolved(forever))
    await asyncio.wait([asyncio.ensure_future(double(1))])
    await background.stop()
    with pytest.raises(ShuttingDown, match="my work: the server stops"):
        await job
    assert forever.cancelled()


async def test_stop_without_start(background: BackgroundWork) -> None:
    """What has never begun when the server stops never begins."""
    done: list[int] = []
    job = background.run(LABEL, lambda: note(done))
    await background.stop()
    with pytest.raises(ShuttingDown):
        await job
    assert done == []


async def test_work_after_the_stop(background: BackgroundWork) -> None:
    """After the stop nothing begins."""
    background.start()
    await background.stop()
    with pytest.raises(ShuttingDown):
        await background.run(LABEL, lambda: double(1))


async def test_stubborn_work() -> None:
    """Work that does not let itself be cancelled does not hold the stop up for ever."""
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
    await asyncio.wait([asyncio.ensure_future(double(1))])
    with capture_logs() as lines:
        stopping = asyncio.ensure_future(background.stop())
        while not stopping.done():
            clock.advance(seconds=1)
            await asyncio.wait([asyncio.ensure_future(double(1))])
    assert [(line["event"], line["task"]) for line in lines] == [
        ("background work does not end", "MyModule: my work")
    ]
    end.set()
    await job


async def test_waiter_who_gives_up(background: BackgroundWork) -> None:
    """Who gives up waiting for a job does not cancel it."""
    background.start()
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    job = background.run(LABEL, lambda: resolved(result))
    waiter = asyncio.ensure_future(resolved(job))
    await asyncio.wait([asyncio.ensure_future(double(1))])
    waiter.cancel()
    await asyncio.wait([waiter])
    result.set_result(5)
    assert await job == 5
    await background.stop()


async def test_another_loop(background: BackgroundWork) -> None:
    """What must be done in the server's loop is, whichever loop the caller runs."""
    background.start()
    loops: list[asyncio.AbstractEventLoop] = []

    async def note() -> int:
        loops.append(asyncio.get_running_loop())
        return 9

    here = asyncio.get_running_loop()
    asked = background.in_server_loop(LABEL, note)
    assert await here.run_in_executor(None, lambda: asyncio.run(asked)) == 9
    assert loops == [here]
    await background.stop()

"""Work that modules leave to the server, by way of the API."""

import asyncio
import threading

import pytest
from structlog.testing import capture_logs

from lamplighter.modules.background import resolved
from lamplighter.modules.cache import cached
from lamplighter.modules.storage import Transaction
from tests.modules.fakes import World


async def double(number: int, *, plus: int = 0) -> int:
    """Return twice *number*, and some more."""
    return 2 * number + plus


async def test_run_in_background(world: World) -> None:
    """A function, async or not, gets its arguments, and its result can be awaited."""
    job = world.api().run_in_background(double, 4, plus=1)
    world.runtime.start()
    assert await job == 9
    assert await world.api().run_in_background(max, 3, 5) == 5


async def test_run_as_background_process(world: World) -> None:
    """A background process gives None where it raises, and its name to the log."""
    world.runtime.start()
    api = world.api("MyModule")
    assert await api.run_as_background_process("d", double, 3, bg_start_span=False, plus=1) == 7
    with capture_logs() as lines:
        assert await api.run_as_background_process("my process", int, "x") is None
    assert [(line["module"], line["desc"]) for line in lines] == [("MyModule", "my process")]


async def test_background_calls(world: World) -> None:
    """Looping and delayed calls take milliseconds, arguments, and a name."""
    world.runtime.start()
    api = world.api()
    done: list[str] = []
    api.looping_background_call(done.append, 1000, "loop", desc="x", run_on_all_instances=True)
    api.delayed_background_call(500, done.append, "once", desc="y")
    api.delayed_background_call(500, done.append, "never").cancel()
    for _ in range(4):
        world.clock.advance(milliseconds=500)
        await resolved(api.run_in_background(lambda: None))
    assert done == ["once", "loop", "loop"]


async def test_sleep(world: World) -> None:
    """Sleep ends when that many seconds have passed on the server's clock."""
    world.runtime.start()
    api = world.api()
    job = api.run_in_background(api.sleep, 0.5)
    await resolved(api.run_in_background(lambda: None))
    world.clock.advance(milliseconds=499)
    await resolved(api.run_in_background(lambda: None))
    assert not job.done()
    world.clock.advance(milliseconds=1)
    await job


async def test_defer_to_thread(world: World) -> None:
    """A function runs in a daemon thread; its result or exception comes back."""
    api = world.api()
    thread = await api.defer_to_thread(threading.current_thread)
    assert thread.daemon
    assert thread is not threading.current_thread()
    assert await api.defer_to_thread(max, 3, 5) == 5
    with pytest.raises(ValueError, match="invalid literal"):
        await api.defer_to_thread(int, "x")


async def test_thread_that_never_ends(world: World) -> None:
    """A thread that never ends does not hold up the stop."""
    end = threading.Event()
    world.runtime.start()
    api = world.api()
    job = api.run_in_background(api.defer_to_thread, end.wait)
    await resolved(api.run_in_background(lambda: None))
    await world.runtime.stop()
    assert job.exception() is not None
    end.set()


async def test_run_db_interaction(world: World) -> None:
    """A function is given a cursor and its arguments, and its result can be awaited."""
    api = world.api()

    def add(txn: Transaction, left: int, *, right: int) -> object:
        txn.execute("SELECT ? + ?", (left, right))
        return txn.fetchone()

    assert await api.run_db_interaction("add", add, 3, right=4) == (7,)


async def test_cached(world: World) -> None:
    """What `cached` remembers is forgotten by invalidate_cache."""
    asked: list[int] = []

    class Module:
        @world.api().cached(max_entries=2)
        async def answer(self, number: int) -> int:
            asked.append(number)
            return number

    module = Module()
    world.api().register_cached_function(module.answer)
    assert [await module.answer(1), await module.answer(1)] == [1, 1]
    await world.api().invalidate_cache(module.answer, (1,))
    await module.answer(1)
    assert asked == [1, 1]
    assert cached is world.api().cached


async def test_awaiting_a_job_twice(world: World) -> None:
    """A job may be awaited by many."""
    world.runtime.start()
    job = world.api().run_in_background(double, 1)
    assert list(await asyncio.gather(job, resolved(job))) == [2, 2]

"""Background work through the API."""

import threading
from typing import Any

import pytest

from lamplighter.modules.cache import cached
from lamplighter.modules.storage import ModuleTransaction
from tests.modules.fakes import World


async def double(number: int, *, plus: int = 0) -> int:
    """Return twice *number*, plus *plus*."""
    return 2 * number + plus


async def test_run_in_background(running: World) -> None:
    """A function, async or not, gets its arguments, and its result can be awaited."""
    job = running.api().run_in_background(double, 4, plus=1)
    assert await job == 9
    assert await running.api().run_in_background(max, 3, 5) == 5


async def test_run_as_background_process(running: World, logged: list[Any]) -> None:
    """A background process that raises has the result None, and its name is logged."""
    api = running.api("MyModule")
    assert await api.run_as_background_process("d", double, 3, bg_start_span=False, plus=1) == 7
    assert await api.run_as_background_process("my process", int, "x") is None
    assert [(line["module"], line["desc"]) for line in logged] == [("MyModule", "my process")]


async def test_background_calls(running: World) -> None:
    """Looping and delayed calls take milliseconds, arguments, and a name."""
    api = running.api()
    done: list[str] = []
    api.looping_background_call(done.append, 1000, "loop", desc="x", run_on_all_instances=True)
    api.delayed_background_call(500, done.append, "once", desc="y")
    api.delayed_background_call(500, done.append, "never").cancel()
    await running.pass_time(4, milliseconds=500)
    assert done == ["once", "loop", "loop"]


async def test_sleep(running: World) -> None:
    """Sleep ends after that many seconds on the server's clock."""
    api = running.api()
    job = api.run_in_background(api.sleep, 0.5)
    await running.tick()
    await running.pass_time(1, milliseconds=499)
    assert not job.done()
    await running.pass_time(1, milliseconds=1)
    await job


async def test_defer_to_thread(running: World) -> None:
    """A function runs in a daemon thread; its result or exception is returned."""
    api = running.api()
    thread = await api.defer_to_thread(threading.current_thread)
    assert thread.daemon
    assert thread is not threading.current_thread()
    assert await api.defer_to_thread(max, 3, 5) == 5
    with pytest.raises(ValueError, match="invalid literal"):
        await api.defer_to_thread(int, "x")


async def test_thread_that_never_ends(running: World) -> None:
    """A thread that never ends does not delay the stop."""
    end = threading.Event()
    api = running.api()
    job = api.run_in_background(api.defer_to_thread, end.wait)
    await running.tick()
    await running.runtime.stop()
    assert job.exception() is not None
    end.set()


async def test_run_db_interaction(running: World) -> None:
    """A function gets a cursor and its arguments, and its result can be awaited."""
    api = running.api()

    def add(txn: ModuleTransaction, left: int, *, right: int) -> object:
        txn.execute("SELECT ? + ?", (left, right))
        return txn.fetchone()

    assert await api.run_db_interaction("add", add, 3, right=4) == (7,)


async def test_cached(running: World) -> None:
    """`invalidate_cache` removes an answer of a function that is decorated with `cached`."""
    asked: list[int] = []

    class Module:
        @running.api().cached(max_entries=2)
        async def answer(self, number: int) -> int:
            asked.append(number)
            return number

    module = Module()
    running.api().register_cached_function(module.answer)
    assert [await module.answer(1), await module.answer(1)] == [1, 1]
    await running.api().invalidate_cache(module.answer, (1,))
    await module.answer(1)
    assert asked == [1, 1]
    assert cached is running.api().cached

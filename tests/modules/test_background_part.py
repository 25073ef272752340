"""Background work through the API."""

import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from lamplighter.clock import Timestamp
from lamplighter.devtools.clock import FakeClock
from lamplighter.modules.cache import cached
from lamplighter.modules.host import ModuleNode
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


@dataclass
class Nodes:
    """Two nodes of one server, and which of them does what one does at a time."""

    clock: FakeClock
    chosen: str
    done: list[tuple[str, Timestamp]]
    worlds: dict[str, World]

    def is_chosen(self, name: str) -> bool:
        """Tell whether it is the one."""
        return self.chosen == name

    async def pass_time(self, times: int) -> None:
        """Let some half seconds pass, on both."""
        for _ in range(times):
            self.clock.advance(milliseconds=500)
            for world in self.worlds.values():
                await world.tick()

    def calls(self, name: str, *, everywhere: bool) -> None:
        """Have a node note each second that it was called."""
        self.worlds[name].api().looping_background_call(
            lambda: self.done.append((name, self.clock.now())),
            1000,
            run_on_all_instances=everywhere,
        )

    def since(self, began: Timestamp) -> list[tuple[str, int]]:
        """Return who was called, and how many milliseconds after *began*."""
        return [(name, when - began) for name, when in self.done]


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    """Both run, and the first one is chosen."""
    nodes = Nodes(FakeClock(), "a", [], {})
    for name in ("a", "b"):
        node = ModuleNode(name, partial(nodes.is_chosen, name))
        nodes.worlds[name] = World(nodes.clock, node=node)
        nodes.worlds[name].runtime.start()
    yield nodes
    for world in nodes.worlds.values():
        await world.runtime.stop()


async def test_loops_of_several_nodes(nodes: Nodes) -> None:
    """A looping call runs on one node at a time: never on two at once, and on the other one when
    the first is no longer chosen.
    """
    began = nodes.clock.now()
    nodes.calls("a", everywhere=False)
    nodes.calls("b", everywhere=False)
    await nodes.pass_time(5)
    nodes.chosen = "b"
    await nodes.pass_time(4)
    nodes.chosen = "a"
    await nodes.pass_time(1)
    assert nodes.since(began) == [("a", 1000), ("a", 2000), ("b", 3000), ("b", 4000), ("a", 5000)]


async def test_a_call_under_way_when_another_node_is_chosen(nodes: Nodes) -> None:
    """A call that has begun goes on to its end; the next one is on the other node."""
    api = nodes.worlds["a"].api()

    async def slowly() -> None:
        nodes.done.append(("begun", nodes.clock.now()))
        await api.sleep(0.7)
        nodes.done.append(("ended", nodes.clock.now()))

    began = nodes.clock.now()
    api.looping_background_call(slowly, 1000)
    await nodes.pass_time(2)
    nodes.chosen = "b"
    await nodes.pass_time(6)
    assert nodes.since(began) == [("begun", 1000), ("ended", 2000)]


async def test_loops_of_every_node(nodes: Nodes) -> None:
    """With `run_on_all_instances` a looping call runs on each node."""
    began = nodes.clock.now()
    nodes.calls("a", everywhere=True)
    nodes.calls("b", everywhere=True)
    await nodes.pass_time(4)
    assert sorted(nodes.since(began)) == [("a", 1000), ("a", 2000), ("b", 1000), ("b", 2000)]


async def test_which_node_does_the_background_work(nodes: Nodes) -> None:
    """A module can ask whether its node is the one, and what its name is."""
    apis = [world.api() for world in nodes.worlds.values()]
    assert [api.worker_name for api in apis] == ["a", "b"]
    assert [api.should_run_background_tasks() for api in apis] == [True, False]
    nodes.chosen = "b"
    assert [api.should_run_background_tasks() for api in apis] == [False, True]


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

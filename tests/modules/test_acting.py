"""The functions that modules import, and how they find their server."""

import asyncio
import threading
from typing import Any

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.modules.acting import ImportedFunctions, acting, make_deferred_yieldable
from lamplighter.modules.background import BackgroundWork, Job
from tests.modules.fakes import World


async def fail() -> None:
    """Raise."""
    raise ValueError("x")


async def answer() -> int:
    """Answer."""
    return 42


async def test_module_under_construction(running: World, logged: list[Any]) -> None:
    """In `__init__`, the functions are those of the module's own API."""
    functions = ImportedFunctions()
    with acting(running.api("MyModule")):
        job = functions.run_in_background(fail)
        quiet = functions.run_as_background_process("my process", fail)
        with pytest.raises(ValueError):
            await job
        assert await quiet is None
    assert [(line["module"], line["desc"]) for line in logged] == [
        ("MyModule", "fail"),
        ("MyModule", "my process"),
    ]


async def test_tasks_of_a_module(world: World) -> None:
    """Background work of a module is the module's code as well."""
    functions = ImportedFunctions()

    async def start_another() -> Job[int]:
        return functions.run_in_background(answer)

    with acting(world.api("MyModule")):
        outer = functions.run_in_background(start_another)
    world.runtime.start()
    assert await (await outer) == 42


async def test_thread_of_a_module() -> None:
    """In a thread that a module has started, the newest server does the work; there must be one."""
    older, newest = BackgroundWork(FakeClock()), BackgroundWork(FakeClock())
    functions = ImportedFunctions()
    with pytest.raises(RuntimeError, match="no server runs"):
        functions.run_in_background(answer)
    functions.add(older)
    functions.add(newest)
    jobs: list[Job[int]] = []
    thread = threading.Thread(target=lambda: jobs.append(functions.run_in_background(answer)))
    thread.start()
    thread.join()
    older.start()
    await asyncio.wait([asyncio.ensure_future(answer())])
    assert not jobs[0].done()
    newest.start()
    assert await jobs[0] == 42
    await older.stop()
    await newest.stop()


async def test_callback_of_a_module() -> None:
    """In an event loop, its server does the work, even if another server is newer."""
    here, elsewhere = BackgroundWork(FakeClock()), BackgroundWork(FakeClock())
    functions = ImportedFunctions()
    functions.add(here)
    functions.add(elsewhere)
    here.start()
    assert await make_deferred_yieldable(functions.run_in_background(answer)) == 42
    assert await functions.run_as_background_process("x", answer, bg_start_span=False) == 42
    functions.remove(here)
    assert not functions.run_in_background(answer).done()
    await here.stop()
    await elsewhere.stop()

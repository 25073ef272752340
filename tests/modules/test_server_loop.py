"""The event loop that no module can end, without a server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from lamplighter.clock import next_turn
from lamplighter.modules.server_loop import ServerLoop
from lamplighter.routing.containment import as_module, as_server

Work = Callable[[], Awaitable[object]]


@pytest.fixture
def loop() -> Iterator[ServerLoop]:
    """The loop, closed at the end."""
    loop = ServerLoop()
    yield loop
    loop.close()


def exiting() -> None:
    """End the process, as `sys.exit` does."""
    raise SystemExit(3)


def interrupting() -> None:
    """End the process as Ctrl-C does."""
    raise KeyboardInterrupt


def stopping() -> None:
    """Stop the loop."""
    asyncio.get_running_loop().stop()


def cancelling() -> None:
    """Cancel all that asyncio lists."""
    for task in asyncio.all_tasks():
        task.cancel()


@pytest.mark.parametrize("deed", [exiting, interrupting, stopping, cancelling])
@pytest.mark.parametrize("in_a_task", [True, False], ids=["task", "callback"])
def test_the_work_is_completed(loop: ServerLoop, deed: Callable[[], None], in_a_task: bool) -> None:
    """The server's work, and its tasks, go on to their end whatever a module does."""
    done: list[str] = []

    async def other() -> None:
        for _ in range(6):
            await next_turn()
        done.append("other")

    async def do() -> None:
        await next_turn()
        deed()

    async def work() -> str:
        task = asyncio.create_task(other())
        with as_module("MyModule"):
            theirs = asyncio.create_task(do()) if in_a_task else None
            if not in_a_task:
                asyncio.get_running_loop().call_soon(deed)
        await task
        if theirs is not None:
            await asyncio.wait({theirs})
            theirs.cancelled() or theirs.exception()
        return "done"

    with capture_logs() as lines:
        assert loop.complete(work()) == "done"
    assert done == ["other"]
    expected = 0 if deed is cancelling else 1
    assert len(lines) == expected
    if expected and (in_a_task or deed is stopping):
        assert lines[0]["module"] == "MyModule"


def test_what_all_tasks_lists(loop: ServerLoop) -> None:
    """Modules can list only the tasks of modules; the server can list all."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    async def work() -> tuple[int, int]:
        ours = asyncio.create_task(wait())
        with as_module("MyModule"):
            theirs = asyncio.create_task(wait())
            with as_server():
                asked_for = asyncio.create_task(wait())
        listed = asyncio.all_tasks()
        every = loop.unended_tasks()
        await next_turn()
        for task in (ours, theirs, asked_for):
            task.cancel()
        await asyncio.wait({ours, theirs, asked_for})
        assert (listed, loop.unended_tasks()) == ({theirs}, {asyncio.current_task()})
        return len(listed), len(every)

    assert loop.complete(work()) == (1, 4)


def test_what_the_work_raises(loop: ServerLoop) -> None:
    """Exceptions of the server's own work are raised: exits, interrupts, errors."""

    async def work(error: BaseException) -> None:
        await next_turn()
        raise error

    for error in (SystemExit(2), KeyboardInterrupt(), RuntimeError("stopped"), ValueError()):
        with pytest.raises(type(error)):
            loop.complete(work(error))


def test_what_a_module_s_task_gives(loop: ServerLoop) -> None:
    """A module's task returns, raises and can be cancelled as any task."""

    async def give(what: object) -> object:
        await next_turn()
        if isinstance(what, Exception):
            raise what
        return what

    async def work() -> list[object]:
        with as_module("MyModule"):
            tasks = [asyncio.create_task(give(it)) for it in (7, ValueError("no"), 8)]
            tasks[2].cancel()
            grouped = await asyncio.gather(give(1), give(2))
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert tasks[0].get_coro() is not None
        assert "give" in repr(tasks[0])
        return [grouped, *map(repr, answers)]

    assert loop.complete(work()) == [[1, 2], "7", "ValueError('no')", "CancelledError('')"]


CHANGES: dict[str, Callable[[Any], object]] = {
    "task factory": lambda loop: loop.set_task_factory(None),
    "exception handler": lambda loop: loop.set_exception_handler(None),
    "executor": lambda loop: loop.set_default_executor(ThreadPoolExecutor()),
    "signals": lambda loop: loop.add_signal_handler(15, print),
    "no signals": lambda loop: loop.remove_signal_handler(15),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_modules_may_not_change(loop: ServerLoop, change: Callable[[Any], object]) -> None:
    """A module cannot change the parts of the loop that all share; the server can."""

    async def work() -> None:
        change(loop)
        with as_module("MyModule"), pytest.raises(RuntimeError, match="not for module MyModule"):
            change(loop)

    loop.complete(work())


def test_the_executor_stays(loop: ServerLoop) -> None:
    """A module cannot shut down the server's executor or async generators."""

    async def work() -> int:
        with as_module("MyModule"):
            for end in (loop.shutdown_default_executor, loop.shutdown_asyncgens):
                with pytest.raises(RuntimeError, match="MyModule"):
                    await end()
        return await loop.run_in_executor(None, lambda: 7)

    assert loop.complete(work()) == 7
    loop.run_until_complete(loop.shutdown_default_executor())

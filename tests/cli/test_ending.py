"""How a process ends; that of a whole server is in `interop/test_stop.py`."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from lamplighter.cli.ending import LastResort, leaving_threads_behind, run

#: Exits with code 7 from a block that leaves a thread behind.
PROGRAM = """
import sys, threading
from lamplighter.cli.ending import leaving_threads_behind
with leaving_threads_behind():
    print("written")
    threading.Thread(target=threading.Event().wait, name="clinging").start()
    sys.exit({code})
"""


@pytest.mark.processes
@pytest.mark.parametrize(("given", "code"), [("7", 7), ("0", 0), ("None", 0), ("'text'", 1)])
def test_a_thread_that_never_ends(given: str, code: int) -> None:
    """The process ends with its own code, all output written; the thread is named in the log."""
    program = [sys.executable, "-c", PROGRAM.format(code=given)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert (ended.returncode, ended.stdout) == (code, "written\n")
    assert "left behind: ['clinging']" in ended.stderr


def test_threads_that_end() -> None:
    """Threads that end soon, and those that were there before, change nothing about an exit."""

    def leave() -> None:
        with leaving_threads_behind():
            threading.Thread(target=lambda: None).start()
            sys.exit(3)

    end = threading.Event()
    before = threading.Thread(target=end.wait)
    before.start()
    with pytest.raises(SystemExit) as exited:
        leave()
    assert exited.value.code == 3
    end.set()
    before.join()


#: Holds the event loop for ever while it stops.
STUCK = """
import time
from datetime import timedelta
from lamplighter.cli.ending import LastResort
with LastResort(timedelta(milliseconds=50)) as last_resort:
    {begin}
    time.sleep({seconds})
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("begin", "seconds", "code"), [("last_resort.begin()", 3600, 1), ("pass", 0.2, 0)]
)
def test_the_last_resort(begin: str, seconds: float, code: int) -> None:
    """A stop that never comes to an end is ended, with code 1; a server that runs is not."""
    program = [sys.executable, "-c", STUCK.format(begin=begin, seconds=seconds)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert (ended.returncode, "the process ends now" in ended.stderr) == (code, code == 1)


def test_the_last_resort_is_not_needed() -> None:
    """A process that stops in time is not ended."""
    with LastResort(timedelta(hours=1)) as last_resort:
        last_resort.begin()
    timers = [it for it in threading.enumerate() if isinstance(it, threading.Timer)]
    for timer in timers:
        timer.join(300)
    assert [it for it in timers if it.is_alive()] == []


def test_running() -> None:
    """Work runs to its end in an event loop of its own, and its error is raised."""
    done: list[str] = []

    async def work() -> None:
        done.append(await asyncio.to_thread(lambda: "in a thread"))
        raise LookupError

    with pytest.raises(LookupError):
        run(work())
    assert done == ["in a thread"]


def test_the_rest_is_cancelled() -> None:
    """Tasks that are still there when the work is done are cancelled, and may tidy up."""
    ended: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("tidied up")

    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        tasks.append(asyncio.create_task(tidy()))
        await asyncio.to_thread(lambda: None)

    run(work())
    assert (ended, tasks[0].cancelled()) == (["tidied up"], True)

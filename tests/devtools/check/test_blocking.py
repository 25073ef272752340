"""Calls that block the event loop are refused, measured, or interrupted."""

import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

import pytest

from lamplighter.devtools.check.blocking import BlockingCall, LoopWatch


def _watch(readings: Iterator[int] | None = None) -> LoopWatch:
    stopwatch = (lambda: next(readings)) if readings else (lambda: 0)
    limit = timedelta(milliseconds=100)
    return LoopWatch([__file__], stopwatch, limit, timedelta(seconds=0.2))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        pytest.param(
            lambda: subprocess.run(["true"], check=True),
            "subprocess.Popen",
            marks=pytest.mark.processes,
        ),
        (lambda: os.system("true"), "os.system"),
        (lambda: socket.create_connection(("127.0.0.1", 1)), "socket.getaddrinfo"),
        (lambda: socket.gethostbyname("example.org"), "socket.gethostbyname"),
        (lambda: sqlite3.connect(":memory:"), "sqlite3.connect"),
    ],
)
def test_what_is_known_to_block(call: Callable[[], object], what: str) -> None:
    """A blocking function is not called, and the check names the line of the call."""
    watch = _watch()
    with pytest.raises(BlockingCall, match=f"{what} blocks the event loop"), watch.step():
        call()
    _, [blocked] = watch.take()
    assert blocked.what == f"called {what}"
    assert blocked.place is not None
    assert blocked.place.file.endswith("test_blocking.py")


def test_connecting() -> None:
    """A non-blocking connect is allowed; a blocking connect is refused."""
    with socket.socket() as server, socket.socket() as loops, socket.socket() as waits:
        server.bind(("127.0.0.1", 0))
        server.listen()
        loops.setblocking(False)
        watch = _watch()
        with watch.step():
            loops.connect_ex(server.getsockname())
        with pytest.raises(BlockingCall, match=r"socket\.connect"), watch.step():
            waits.connect(server.getsockname())
    assert [it.what for it in watch.take()[1]] == ["called socket.connect"]


@pytest.mark.processes
def test_outside_of_a_step() -> None:
    """A call that blocks between two steps is not the module's, and is ignored."""
    watch = _watch()
    with watch.step():
        pass
    assert subprocess.run(["true"], check=True).returncode == 0
    assert watch.take() == (0, [])


def test_computing_for_long() -> None:
    """A step that takes too long is noted; `take` returns the sum of all steps."""
    watch = _watch(iter([0, 5_000_000, 10_000_000, 310_000_000]))
    with watch.step():
        pass
    with watch.step():
        pass
    taken, blocked = watch.take()
    assert taken == 305_000_000
    assert [it.what for it in blocked] == ["computed for 300 ms"]
    assert watch.take() == (0, [])


@pytest.mark.parametrize(
    "work", [lambda: sum(1 for _ in count()), lambda: threading.Event().wait()]
)
def test_what_does_not_end(work: Callable[[], object]) -> None:
    """A step that does not end is interrupted, whether it computes or waits."""
    watch = _watch()
    ends = pytest.raises(BlockingCall, match="did not come to an end")
    with watch.watching(), ends, watch.step():
        work()
    _, [blocked] = watch.take()
    assert blocked.what == "did not come to an end"
    assert blocked.place is not None

"""Finds out in three ways that a callback blocks the event loop.

A call that is known to block (`time.sleep`, a connection, a subprocess) is refused by Python's
profiling: the refusal takes no time, names the line, and keeps the module from reaching other
machines. A long computation is measured. A thread interrupts a step that does not end.
"""

import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Final

from lamplighter.devtools.check.findings import Place
from lamplighter.devtools.check.words import place_of_call

__all__ = ["WATCHING_THREAD", "Blocked", "BlockingCall", "LoopWatch", "Stopwatch"]

#: A clock in nanoseconds; the difference of two readings is the duration of a step.
Stopwatch = Callable[[], int]

#: The name of the thread that interrupts a step that does not end.
WATCHING_THREAD: Final = "loop-watch"
#: Functions of the interpreter that block, by module and name, and how people call them.
_BLOCKING: Final = {
    ("_posixsubprocess", "fork_exec"): "subprocess.Popen",
    ("_socket", "getaddrinfo"): "socket.getaddrinfo",
    ("_socket", "gethostbyname"): "socket.gethostbyname",
    ("_sqlite3", "connect"): "sqlite3.connect",
    ("posix", "posix_spawn"): "os.posix_spawn",
    ("posix", "system"): "os.system",
    ("posix", "waitpid"): "os.waitpid",
    ("time", "sleep"): "time.sleep",
}


@dataclass(frozen=True, slots=True)
class Blocked:
    """One occasion on which the event loop was blocked."""

    what: str
    place: Place | None
    #: Whether time was lost: none is lost by a refused call.
    took_time: bool


class BlockingCall(Exception):
    """Raised in the module instead of a call that would block."""


class _NeverEnds(BaseException):
    """Raised in the module to end a step that does not end by itself."""


class LoopWatch:
    """Watches each step of a callback: the code that runs between two awaits.

    *files* are the module's own. A step may take *limit* by the *stopwatch*. In the main thread, a
    step that has not ended after *patience* of the machine's time is interrupted.
    """

    def __init__(
        self, files: Sequence[str], stopwatch: Stopwatch, limit: timedelta, patience: timedelta
    ) -> None:
        self._files = files
        self._stopwatch = stopwatch
        self._limit = limit
        self._limits = patience
        self._step = 0
        self._is_in_step = False
        self._thread = 0
        self._aimed_at = 0
        #: What has blocked since the last `take`.
        self._blocked: list[Blocked] = []
        #: How long all steps since the last `take` have taken, in nanoseconds.
        self._taken = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the block ends."""
        self._thread = threading.get_ident()
        over = threading.Event()
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGVTALRM, self._interrupt) if is_main else None
        if is_main:
            watching = threading.Thread(target=self._watch, args=(over,), daemon=True)
            watching.name = WATCHING_THREAD
            watching.start()
        try:
            yield
        finally:
            over.set()
            if is_main:
                signal.signal(signal.SIGVTALRM, before)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Watch one step, and measure it."""
        self._step += 1
        self._is_in_step = True
        collects = gc.isenabled()
        gc.disable()  # the garbage is mostly not the module's
        before = sys.getprofile()
        sys.setprofile(self._profile)
        began = self._stopwatch()
        try:
            yield
        except _NeverEnds:
            raise BlockingCall("it did not come to an end") from None
        finally:
            taken = self._stopwatch() - began
            sys.setprofile(before)
            if collects:
                gc.enable()
            self._is_in_step = False
            self._taken += taken
            if taken > self._limit.total_seconds() * 1e9:
                self._blocked.append(
                    Blocked(f"computed for {taken / 1e6:.0f} ms", None, took_time=True)
                )

    def take(self) -> tuple[int, Sequence[Blocked]]:
        """Return the nanoseconds of all steps, and what has blocked, since the last call."""
        taken, self._taken = self._taken, 0
        blocked, self._blocked = self._blocked, []
        return taken, blocked

    def _profile(self, frame: FrameType, event: str, function: object) -> None:
        """Refuse a call that blocks."""
        what = _what_blocks(function) if event == "c_call" else None
        if what is not None:
            place = place_of_call(frame, *self._files)
            self._blocked.append(Blocked(f"called {what}", place, took_time=False))
            raise BlockingCall(f"{what} blocks the event loop, and was not called")

    def _watch(self, over: threading.Event) -> None:
        """Interrupt a step that has lasted since the previous check."""
        seen = 0
        while not over.wait(self._limits.total_seconds()):
            if self._is_in_step and self._step == seen:
                self._aimed_at = seen
                signal.pthread_kill(self._thread, signal.SIGVTALRM)
            seen = self._step

    def _interrupt(self, _number: int, frame: FrameType | None) -> None:
        if self._is_in_step and self._step == self._aimed_at:
            place = place_of_call(frame, *self._files)
            self._blocked.append(Blocked("did not come to an end", place, took_time=True))
            raise _NeverEnds


def _what_blocks(function: object) -> str | None:
    """Return the usual name of an interpreter's function, if the function blocks."""
    name = getattr(function, "__name__", "")
    its_object = getattr(function, "__self__", None)
    if name == "connect" and isinstance(its_object, socket.socket):
        # Event loops connect without waiting.
        return None if its_object.gettimeout() == 0 else "socket.connect"
    return _BLOCKING.get((getattr(function, "__module__", None) or "", name))

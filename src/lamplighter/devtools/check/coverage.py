"""How much of a module's code a check has run: the lines of its functions, by Python's tracing.

All code is slow while Python traces, and most of what runs in a check is the check itself: it asks,
waits and compares. So the event loop of a check traces the tasks and callbacks of the module and of
the module API, and not the task of the check.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

from lamplighter.devtools.check.findings import Covered
from lamplighter.devtools.check.words import short_name

__all__ = ["CheckLoop", "Coverage"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
#: What `sys.settrace` takes.
Trace: TypeAlias = Callable[[FrameType, str, object], Any]

#: So many lines of one call are traced, lest a long call become slow.
_MOST_LINES: Final = 500


class CheckLoop(asyncio.SelectorEventLoop):
    """The event loop of one check, which can trace everything but the check's own task."""

    def __init__(self) -> None:
        super().__init__()
        #: The context of the check's own task: tasks that the task makes get copies.
        self._own = copy_context()
        #: What traces the others; None if nothing does.
        self.trace: Trace | None = None

    def run(self, check: Coroutine[Any, Any, T]) -> T:
        """Return what *check* returns, whose steps are not traced."""
        return self.run_until_complete(self.create_task(check, context=self._own))

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(*self._to_call(callback, args, context), context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon_threadsafe(
            *self._to_call(callback, args, context), context=context
        )

    def _to_call(
        self, callback: Callable[..., object], args: Sequence[Any], context: Context | None
    ) -> tuple[Any, ...]:
        """Return what to call in the place of *callback*, with its arguments."""
        trace = self.trace
        # Without a context, the callback belongs to the code that runs now.
        if trace is None or context is self._own or (context is None and sys.gettrace() != trace):
            return callback, *args
        return _traced, trace, callback, args


def _traced(trace: Trace, callback: Callable[..., object], args: Sequence[Any]) -> None:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        callback(*args)
    finally:
        sys.settrace(before)


class Coverage:
    """Notes which lines of *files* run, also in threads that begin meanwhile.

    All methods of *classes*, given by their qualified names, count. Other functions count if they
    are called, since a file may hold several modules.
    """

    def __init__(self, files: Sequence[str], classes: Sequence[str] = ()) -> None:
        self._functions = {file: _functions_of(file) for file in files}
        self._own = tuple(f"{it}." for it in classes)
        self._run: dict[str, set[int]] = {file: set() for file in files}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note until the block ends; only the task of a check may call this."""
        loop, before = asyncio.get_running_loop(), threading.gettrace()
        assert isinstance(loop, CheckLoop)
        loop.trace = self._called
        threading.settrace(self._called)
        try:
            yield
        finally:
            loop.trace = None
            threading.settrace(before)

    def files(self) -> Sequence[Covered]:
        """Return how much of each file was run."""
        return [
            Covered(
                short_name(file), len(lines), len(lines & run), tuple(_ranges(sorted(lines - run)))
            )
            for file, run in self._run.items()
            if (lines := self._counted(file))
        ]

    def _counted(self, file: str) -> set[int]:
        run = self._run[file]
        functions = self._functions[file]
        counted = (it for name, it in functions if name.startswith(self._own) or it & run)
        return set().union(*counted)

    def _called(self, frame: FrameType, event: str, _argument: object) -> Any:
        del event
        # Most calls are not the module's. Python raises an audit event when `f_code` is read, and
        # none for `f_globals`.
        if frame.f_globals.get("__file__") not in self._run:
            return None
        run = self._run.get(frame.f_code.co_filename)
        if run is None:
            return None
        run.add(frame.f_lineno)
        left = _MOST_LINES

        def line(frame: FrameType, _event: str, _argument: object) -> Any:
            nonlocal left
            run.add(frame.f_lineno)
            left -= 1
            frame.f_trace_lines = left > 0
            return line

        return line


def _functions_of(file: str) -> Sequence[tuple[str, set[int]]]:
    """Return each function of a file: its qualified name, and the lines of its body."""
    try:
        code = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return []
    return list(_in_code(code))


def _in_code(code: CodeType) -> Iterator[tuple[str, set[int]]]:
    for it in code.co_consts:
        if isinstance(it, CodeType):
            if it.co_flags & 2:  # CO_NEWLOCALS: a function; a class's body has names of its own
                first = it.co_firstlineno
                yield it.co_qualname, {line for *_, line in it.co_lines() if line and line > first}
            yield from _in_code(it)


def _ranges(lines: Sequence[int]) -> Iterator[str]:
    begin = 0
    for place, line in enumerate(lines):
        if place + 1 == len(lines) or lines[place + 1] != line + 1:
            first = lines[begin]
            yield f"{first}" if first == line else f"{first}-{line}"
            begin = place + 1

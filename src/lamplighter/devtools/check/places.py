"""Places in the sources: of a function, and of an exception."""

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import lamplighter
from lamplighter.devtools.check.findings import Place

__all__ = ["place_of", "place_of_call", "place_of_error", "short_name"]

_OURS = Path(lamplighter.__file__).parent


def place_of(function: Callable[..., object]) -> Place | None:
    """Return where a function (a method, a class) is defined, or None where that is unknown."""
    bare = inspect.unwrap(function)
    while isinstance(bare, functools.partial):
        bare = bare.func
    bare = getattr(bare, "__func__", bare)
    code = getattr(bare, "__code__", None)
    if isinstance(code, CodeType):
        return _place(code.co_filename, code.co_firstlineno)
    try:
        return _place(inspect.getfile(bare), inspect.getsourcelines(bare)[1])
    except (OSError, TypeError):
        return None


def place_of_error(error: BaseException, *files: str) -> Place | None:
    """Return the innermost line of *files* in the traceback of an exception.

    If there is none, return the innermost line outside Lamplighter.
    """
    lines = list(_lines(error.__traceback__))
    own = [place for place in lines if place[0] in files] or [
        place for place in lines if not Path(place[0]).is_relative_to(_OURS)
    ]
    return _place(*own[-1]) if own else None


def place_of_call(frame: FrameType | None, *files: str) -> Place | None:
    """Return the innermost line of *files* on the call stack of *frame*."""
    while frame is not None:
        if frame.f_code.co_filename in files:
            return _place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def _lines(traceback: TracebackType | None) -> Iterable[tuple[str, int]]:
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next


def short_name(file: str) -> str:
    """Return the path of a file, relative to the current folder if the file is below it."""
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _place(file: str, line: int) -> Place:
    return Place(short_name(file), line)

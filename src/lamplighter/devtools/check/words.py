"""Presences, questions, answers and places in the sources, as a report writes them."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import CodeType, FrameType, TracebackType

import lamplighter
from lamplighter.devtools.check.findings import Place
from lamplighter.devtools.check.worlds import World
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes

__all__ = [
    "answer_in_words",
    "changes_in_words",
    "interest_in_words",
    "place_of",
    "place_of_call",
    "place_of_error",
    "question_in_words",
    "rooms_in_words",
    "short_name",
]

#: So many items of a list are written.
_MOST = 6


def changes_in_words(states: Iterable[UserPresenceState]) -> list[str]:
    """Return each state as `@bob:demo online “brb”`."""
    return [f"{state.user_id} {_presence(state)}" for state in states]


def question_in_words(asked: Sequence[UserPresenceState] | str) -> str:
    """Return the question as a call: of one callback about states, or of the other about a user."""
    if isinstance(asked, str):
        return f"get_interested_users({asked})"
    return f"get_users_for_states([{_some(changes_in_words(asked))}])"


def answer_in_words(routes: CheckedRoutes) -> str:
    """Return an answer of `get_users_for_states`, in the order of the viewers."""
    viewers = [
        f"{viewer}: {{{_some(changes_in_words(states[it] for it in sorted(states)))}}}"
        for viewer, states in sorted(routes.routes.items())
    ]
    return f"{{{_some(viewers)}}}"


def interest_in_words(interest: CheckedInterest) -> str:
    """Return an answer of `get_interested_users`, in the order of the users."""
    if interest.all_users:
        return "PRESENCE_ALL_USERS"
    return f"{{{_some(sorted(interest.named))}}}" if interest.named else "set()"


def rooms_in_words(world: World) -> list[str]:
    """Return each room with its members."""
    return [
        f"{room.room_id}: "
        + (", ".join(f"{it} ({membership})" for it, membership in room.members.items()) or "nobody")
        for room in world.rooms
    ]


def _presence(state: UserPresenceState) -> str:
    message = f" “{state.status_msg}”" if state.status_msg else ""
    return f"{state.state.rpartition('.')[2]}{message}"


def _some(texts: Sequence[str]) -> str:
    rest = [f"… {len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return ", ".join([*texts[:_MOST], *rest])


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

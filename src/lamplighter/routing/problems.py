"""What is wrong with how a module has answered, and about whom."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.ids import UserId
from lamplighter.routing.calls import Call
from lamplighter.routing.containment import described

__all__ = ["BLOCKED", "EXCEPTION", "TIMEOUT", "WRONG_ANSWER", "Problem", "alike", "failure_of"]

#: The kinds of problems, as metrics name them.
BLOCKED: Final = "blocked"
EXCEPTION: Final = "exception"
TIMEOUT: Final = "timeout"
WRONG_ANSWER: Final = "wrong answer"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    kind: str
    what: str
    #: Whom the module was asked about.
    users: Sequence[UserId]
    cause: BaseException | None = None

    @property
    def sort(self) -> Hashable:
        """What it has in common with problems of the same origin in the module's code."""
        if self.cause is None:
            return self.kind
        return self.kind, type(self.cause).__name__, _line_of(self.cause)


def failure_of(call: Call, users: Sequence[UserId]) -> Problem | None:
    """Return what a call has raised; None where it has returned something."""
    try:
        call.task.result()
    except BaseException as failure:  # noqa: BLE001 - a module's; somebody waits for the answer
        return Problem(EXCEPTION, described(failure), users, failure)
    return None


def alike(problems: Iterable[Problem]) -> Sequence[Sequence[Problem]]:
    """Return *problems*, those of one sort together."""
    sorts: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        sorts.setdefault(problem.sort, []).append(problem)
    return list(sorts.values())


def _line_of(failure: BaseException) -> tuple[str, int] | None:
    """Return the line that has raised *failure*."""
    traceback = failure.__traceback__
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno

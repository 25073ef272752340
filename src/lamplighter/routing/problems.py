"""What is wrong with a module's answer, and about which users."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.ids import UserId
from lamplighter.routing.calls import Call
from lamplighter.routing.containment import described

__all__ = ["BLOCKED", "EXCEPTION", "TIMEOUT", "WRONG_ANSWER", "Problem", "alike", "failure_of"]

#: The kinds of problems, by the names that metrics have for them.
BLOCKED: Final = "blocked"
EXCEPTION: Final = "exception"
TIMEOUT: Final = "timeout"
WRONG_ANSWER: Final = "wrong answer"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    kind: str
    what: str
    #: The users that the call was about.
    users: Sequence[UserId]
    cause: BaseException | None = None

    @property
    def sort(self) -> Hashable:
        """Equal for problems with the same origin in the module's code."""
        if self.cause is None:
            return self.kind
        traceback = self.cause.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        line = traceback and (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        return self.kind, type(self.cause).__name__, line


def failure_of(call: Call, users: Sequence[UserId]) -> Problem | None:
    """Return the exception that a call has raised; None if it has returned something."""
    try:
        call.task.result()
    except BaseException as failure:  # noqa: BLE001 - raised by a module; a caller waits
        return Problem(EXCEPTION, described(failure), users, failure)
    return None


def alike(problems: Iterable[Problem]) -> Sequence[Sequence[Problem]]:
    """Return *problems*, grouped by their sort."""
    sorts: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        sorts.setdefault(problem.sort, []).append(problem)
    return list(sorts.values())

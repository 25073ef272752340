"""How much of a file was run, as a report has it."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Covered"]


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one file was run."""

    file: str
    #: Lines of functions; what runs as a module is imported does not count.
    lines: int
    run: int
    #: The lines never run: `14`, or `20-23`.
    never: Sequence[str]

"""Statements in the driver's own words, made once and executed often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ClauseElement, Dialect

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement with question marks for its parameters."""

    sql: str
    #: The parameter behind each question mark.
    parameters: Sequence[str]

    def values(self, named: Mapping[str, object]) -> Sequence[object]:
        """Return what stands for each question mark."""
        return [named[name] for name in self.parameters]


def prepare(statement: ClauseElement, dialect: Dialect) -> Prepared:
    """Return *statement* as the driver takes it.

    Every parameter has a name; literals are written into the SQL, with `literal_execute`.
    """
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return Prepared(str(compiled), tuple(compiled.positiontup or ()))

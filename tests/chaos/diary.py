"""What has happened, in order: for whoever reads a failure."""

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.passing import instant

__all__ = ["Diary"]


@dataclass(frozen=True, slots=True)
class _Happened:
    at: float
    #: The names of the users, rooms and the like; nobody's name for what concerns everybody.
    about: frozenset[str]
    what: str

    def __str__(self) -> str:
        return f"{self.at:8.2f}  {self.what}"


class Diary:
    """All acts and faults, each with the second at which it began or ended, also in a file."""

    def __init__(self, path: Path) -> None:
        self._began, self._path = instant(), path
        self._all: list[_Happened] = []

    def note(self, what: str, *about: str) -> None:
        """Add what happens now, to the users *about*."""
        happened = _Happened(instant() - self._began, frozenset(about), what)
        self._all.append(happened)
        with self._path.open("a") as file:
            file.write(f"{happened}\n")

    def about(self, names: set[str], seconds: float) -> list[str]:
        """Return what has happened to *names*, and to everybody, in the last *seconds*."""
        since = instant() - self._began - seconds
        return [
            str(it) for it in self._all if it.at >= since and (not it.about or it.about & names)
        ]

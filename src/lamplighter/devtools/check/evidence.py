"""The people, rooms and hours that a module has in its configuration and in the files it reads.

Python's audit events tell which files a module reads: within `watching`, `FilesRead` notes each
opened file and each SQLite database.
"""

import re
import sqlite3
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import lamplighter

__all__ = ["FilesRead", "hours_in", "text_of", "words_in"]

#: Only this many bytes of a file are read.
_MOST_BYTES: Final = 1 << 20
_MOST_ROWS: Final = 1_000
#: `18:30` and `7:05`; not the middle of a longer number.
_HOUR: Final = re.compile(r"(?<![\d:.])([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?(?![\d:.])")
#: Keys under which a whole number is an hour of the day: `from: 9`, `closes_at: 17`.
_HOUR_KEY: Final = re.compile(r"(?:^|_)(?:hour|from|to|until|till|start|end|begin|open|close)")
_DAY: Final = 24 * 60
#: What separates names in text of any format.
_BETWEEN: Final = re.compile(r"[\s,;|\"'`()\[\]{}<>=]+")
_SQLITE: Final = b"SQLite format 3\x00"
_NOT_DATA: Final = {".py", ".pyc", ".pyi", ".so", ".pyd", ".pth", ".typed"}
_PLACES: Final = tuple(
    Path(it).resolve()
    for it in {*sysconfig.get_paths().values(), str(Path(lamplighter.__file__).parent)}
)
_SYSTEM: Final = ("/dev/", "/proc/", "/sys/", "/etc/", "/usr/")

#: The listeners of the audit hook, which cannot be removed; without a listener it does nothing.
_LISTENERS: Final[list["FilesRead"]] = []
_hooked = False


class FilesRead:
    """The data files that a module has opened, in their order."""

    def __init__(self) -> None:
        self._paths: dict[Path, None] = {}

    def __iter__(self) -> Iterator[Path]:
        return (it for it in tuple(self._paths) if _is_data(it))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note opened files until the block ends."""
        global _hooked  # noqa: PLW0603 - so is the hook
        if not _hooked:
            sys.addaudithook(_hear)
            _hooked = True
        _LISTENERS.append(self)
        try:
            yield
        finally:
            _LISTENERS.remove(self)

    def note(self, path: object) -> None:
        """Note one file by the name with which it was opened."""
        if isinstance(path, bytes):
            path = path.decode(errors="replace")
        if isinstance(path, str | Path) and str(path):
            self._paths[Path(str(path).removeprefix("file:").partition("?")[0]).absolute()] = None


def text_of(file: Path) -> str:
    """Return the text of a file of any format; an empty text if the file cannot be read."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES)
        if content.startswith(_SQLITE):
            return "\n".join(_cells(file))
    except (OSError, sqlite3.Error):
        return ""
    return content.decode(errors="replace")


def words_in(text: str) -> list[str]:
    """Return the words in *text* that may be names, each once.

    A word before or after a colon, such as a key of YAML, is a name without the colon, too.
    """
    words = (it.strip(".!?") for it in _BETWEEN.split(text))
    return list(dict.fromkeys(it.rstrip(":") for it in words if it.rstrip(":")))


def hours_in(value: object, key: str = "") -> set[int]:
    """Return the times of day in a configuration or a text, in minutes after midnight."""
    if isinstance(value, str):
        return {int(it[1]) * 60 + int(it[2]) for it in _HOUR.finditer(value)}
    if isinstance(value, bool):
        return set()
    if isinstance(value, int) and _HOUR_KEY.search(key.lower()):
        return {value * 60 % _DAY} if 0 <= value <= 24 else set()
    if isinstance(value, Mapping):
        return _all(hours_in(item, str(name)) for name, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return _all(hours_in(item, key) for item in value)
    return set()


def _all(sets: Iterable[set[int]]) -> set[int]:
    return set().union(*sets)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _LISTENERS and event in ("open", "sqlite3.connect") and arguments:
        for listener in tuple(_LISTENERS):
            listener.note(arguments[0])


def _is_data(path: Path) -> bool:
    """Tell whether *path* is a file of data, not of Python or of the machine."""
    if path.suffix in _NOT_DATA or str(path).startswith(_SYSTEM) or not path.is_file():
        return False
    return not any(path.resolve().is_relative_to(it) for it in _PLACES)


def _cells(file: Path) -> Iterator[str]:
    """Yield the texts in a SQLite database, which is opened for reading only."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            name = str(table).replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{name}" LIMIT {_MOST_ROWS}')
            yield from (cell for row in rows for cell in row if isinstance(cell, str))

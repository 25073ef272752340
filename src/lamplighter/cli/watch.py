"""`lamplighter serve --reload`: reloads modules when their files or the configuration change.

This is for development. In production, SIGHUP reloads modules when the operator decides.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import typer

from lamplighter.app import Lamplighter
from lamplighter.clock import Clock, SystemClock, sleep
from lamplighter.config import load_config
from lamplighter.errors import ConfigError
from lamplighter.modules.fresh import source_files
from lamplighter.modules.loader import module_entries
from lamplighter.service.reload import Reload

__all__ = ["FileWatch", "reload_on_changes", "watch"]

_PERIOD: Final = timedelta(seconds=1)

#: When a file was changed, in nanoseconds, and its size.
_Look = tuple[int, int]


class FileWatch:
    """Compares files with their state at the last comparison."""

    def __init__(self, files: Callable[[], Iterable[Path]]) -> None:
        """*files* returns the files that count now."""
        self._files = files
        self._before = self._look()

    def changed(self) -> list[Path]:
        """Return the files that are new, gone or changed since the last call."""
        before, self._before = self._before, self._look()
        either = before.keys() | self._before.keys()
        return sorted(path for path in either if before.get(path) != self._before.get(path))

    def _look(self) -> Mapping[Path, _Look]:
        return {path: look for path in self._files() if (look := _look_at(path)) is not None}


async def reload_on_changes(server: Lamplighter, path: Path) -> None:
    """Watch the configuration at *path* and the files of its modules, as long as *server* runs."""
    files = FileWatch(lambda: {path, *source_files(_module_paths(server, path))})
    await watch(SystemClock(), files, server.reload, lambda it: typer.echo(it, err=True))


async def watch(clock: Clock, files: FileWatch, reload: Reload, say: Callable[[str], None]) -> None:
    """Once a second, reload if *files* have changed, and print the result."""
    while True:
        await sleep(clock, _PERIOD)
        changed = files.changed()
        if changed:
            result = await reload()
            say(f"{', '.join(path.name for path in changed)} changed; {result}")


def _module_paths(server: Lamplighter, path: Path) -> set[str]:
    """Return the dotted paths of the modules that run, and of those that should."""
    paths = {module.entry.path for module in server.modules.loaded}
    try:
        paths |= {entry.path for entry in module_entries(load_config(path))}
    except ConfigError:  # the reload says what is wrong
        return paths
    return paths


def _look_at(path: Path) -> _Look | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size

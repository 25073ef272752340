"""`lamplighter module check`: a module from the command line to a report."""

import sys
from pathlib import Path

import msgspec
from rich.console import Console

from lamplighter.cli.check_screen import screen
from lamplighter.devtools.check import Report, Subject, check_subject, subject_in_file
from lamplighter.logs import set_up_logs

__all__ = ["as_json", "check", "show"]


def check(path: str, config: Path | None) -> Report:
    """Check the module whose class has the dotted *path*; raises `ConfigError`."""
    # What modules and server log while a world is simulated is in the report, or is no news.
    set_up_logs("critical")
    for folder in (Path("src"), Path()):
        sys.path.insert(0, str(folder.absolute()))
    return check_subject(Subject.of(path) if config is None else subject_in_file(path, config))


def as_json(report: Report) -> str:
    """Return the report for programs."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def show(report: Report) -> None:
    """Print the report for people."""
    console = Console(highlight=False)
    console.print(screen(report))

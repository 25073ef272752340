"""`lamplighter module check`: a module from the command line to a report."""

from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

from lamplighter.cli.check_screen import screen
from lamplighter.cli.import_path import import_from_here
from lamplighter.devtools.check import Report, Subject, check_subject, subject_in_file
from lamplighter.errors import ConfigError
from lamplighter.logs import set_up_logs

__all__ = ["as_json", "check", "show"]


def check(path: str, config: Path | None, people: Path | None = None) -> Report:
    """Check the module whose class has the dotted *path*; raises `ConfigError`.

    *people* is a file of whatever format that names whom it is to be asked about.
    """
    # What modules and server log while a world is simulated is in the report, or is no news.
    set_up_logs("critical")
    import_from_here()
    if people is not None and not people.is_file():
        raise ConfigError(f"{people}: there is no such file")
    subject = Subject.of(path) if config is None else subject_in_file(path, config)
    return check_subject(replace(subject, people=people))


def as_json(report: Report) -> str:
    """Return the report for programs."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def show(report: Report) -> None:
    """Print the report for people."""
    console = Console(highlight=False)
    console.print(screen(report))

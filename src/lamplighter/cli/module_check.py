"""`lamplighter module check`: from the command line to a report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

from lamplighter.cli.check_screen import joint_screen, screen
from lamplighter.cli.import_path import import_from_here
from lamplighter.devtools.check import (
    JointReport,
    Report,
    Subject,
    check_subject,
    check_together,
    subject_in_file,
    subjects_in_file,
)
from lamplighter.errors import ConfigError
from lamplighter.logs import set_up_logs

__all__ = ["as_json", "check", "check_several", "print_report"]


def check(path: str, config: Path | None, people: Path | None = None) -> Report:
    """Check the module whose class has the dotted *path*; raises `ConfigError`.

    *people* is a file of any format that names the people for the questions.
    """
    _prepare(people)
    subject = Subject.of(path) if config is None else subject_in_file(path, config)
    return check_subject(replace(subject, people=people))


def check_several(
    paths: Sequence[str], config: Path | None, people: Path | None = None
) -> JointReport:
    """Check the modules with the dotted *paths*, or all of the configuration; as `check` does."""
    _prepare(people)
    if config is not None:
        subjects = subjects_in_file(config, paths)
    elif paths:
        subjects = [Subject.of(path) for path in paths]
    else:
        raise ConfigError("name a module, or give a configuration that loads some: --config FILE")
    return check_together([replace(it, people=people) for it in subjects])


def _prepare(people: Path | None) -> None:
    # The report has what matters of the log of a simulated world.
    set_up_logs("critical")
    import_from_here()
    if people is not None and not people.is_file():
        raise ConfigError(f"{people}: there is no such file")


def as_json(report: Report | JointReport) -> str:
    """Return the report for programs."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def print_report(report: Report | JointReport) -> None:
    """Print the report for people."""
    console = Console(highlight=False)
    console.print(screen(report) if isinstance(report, Report) else joint_screen(report))

"""`lamplighter module check`: from the command line to a report on a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from lamplighter.cli.import_path import import_from_here
from lamplighter.devtools.check import (
    Finding,
    JointReport,
    Kind,
    Report,
    Subject,
    check_subject,
    check_together,
    subject_in_file,
    subjects_in_file,
)
from lamplighter.devtools.check.findings import Counterexample
from lamplighter.errors import ConfigError
from lamplighter.logs import set_up_logs

__all__ = ["as_json", "check", "check_several", "joint_screen", "print_report", "screen"]


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


_ANSWERING: Final = {Kind.NOT_ASYNC, Kind.RAISES, Kind.NO_ANSWER}
_ANSWERS: Final = {Kind.WRONG_ANSWER, Kind.LEFT_OUT, Kind.NOT_DETERMINISTIC}
_AGREEMENT: Final = {Kind.TOLD_NOT_SHOWN, Kind.SHOWN_NOT_TOLD}
#: What the check looks at, as a good module has it, and the kinds of findings against it.
_VIRTUES: Final = (
    (
        "loads and registers both callbacks",
        {
            Kind.PARSE_CONFIG_FAILS,
            Kind.CONSTRUCTOR_FAILS,
            Kind.NOTHING_REGISTERED,
            Kind.ONE_CALLBACK,
        },
    ),
    ("is async, raises nothing, always answers", _ANSWERING),
    ("answers with what the server can use", {Kind.WRONG_ANSWER, Kind.LEFT_OUT}),
    ("leaves what it is given as it is", {Kind.CHANGES_INPUT}),
    ("does not block the event loop", {Kind.BLOCKS}),
    ("is fast", {Kind.SLOW}),
    ("answers the same question with the same", {Kind.NOT_DETERMINISTIC}),
    ("the two callbacks agree on who sees whom", _AGREEMENT),
)


def screen(report: Report) -> RenderableType:
    """Return the report as it is printed."""
    return Group(
        Text(report.module, style="bold"),
        Text(_what_was_done(report), style="dim"),
        Text(),
        *_virtues(report),
        *_elsewhere(report),
        *_exercised(report),
        Text(),
        *(_finding(it) for it in report.findings),
        _verdict(report),
    )


def joint_screen(report: JointReport) -> RenderableType:
    """Return the report of several modules as it is printed: each alone, then all together."""
    return Group(
        *(Group(screen(it), Text()) for it in report.reports),
        Text("All together", style="bold"),
        *(Text(f"· {it} is not of presence: not asked", style="dim") for it in report.left_out),
        *_together(report),
    )


def _together(report: JointReport) -> Iterator[RenderableType]:
    if report.unsound:
        names = ", ".join(report.unsound)
        yield Text(f"· {names}: to be asked with others when the rest is right", style="dim")
    if report.conflicts:
        yield Text("✗ two modules alter the same presence in different ways\n", style="red")
        yield from map(_finding, report.conflicts)
    else:
        what = "no two modules alter the same presence in different ways"
        yield Text.assemble(("✓ ", "green"), what)


def _what_was_done(report: Report) -> str:
    if not report.questions:
        return "could not be asked"
    named = f", {report.named_users} of them named by the module" if report.named_users else ""
    return (
        f"asked {report.questions} times in {report.worlds} simulated worlds "
        f"of {report.server_name} with {report.users} users{named}"
    )


def _virtues(report: Report) -> Iterator[Text]:
    found = {it.kind for it in report.findings}
    # For a module that cannot be asked, only the first is known.
    for virtue, kinds in _VIRTUES if report.questions else _VIRTUES[:1]:
        if found & kinds:
            yield Text.assemble(("✗ ", "bold red"), (virtue, "red"))
        elif kinds is _AGREEMENT and not report.compared:
            yield Text(f"· {virtue}: to be seen when the rest is right", style="dim")
        else:
            so_far = " (as far as it answers)" if found & _ANSWERING and kinds & _ANSWERS else ""
            yield Text.assemble(("✓ ", "green"), virtue, (_measured(report, kinds) + so_far, "dim"))


def _elsewhere(report: Report) -> Iterator[Text]:
    for method in report.elsewhere:
        yield Text(f"· calls {method}: those callbacks stay in Synapse", style="dim")


def _exercised(report: Report) -> Iterator[Text]:
    if report.files_read:
        yield Text(f"· people are also those in {', '.join(report.files_read)}", style="dim")
    for it in report.coverage if report.questions else ():
        never = f"; never: {', '.join(it.never)}" if it.never else ""
        yield Text(f"· {it.file}: {it.run} of {it.lines} lines were run{never}", style="dim")


def _measured(report: Report, kinds: set[Kind]) -> str:
    if Kind.SLOW not in kinds or not report.timings:
        return ""
    p99 = [f"{it.callback} {it.p99_ms:.3g} ms" for it in report.timings]
    return f" (p99: {', '.join(p99)})"


def _finding(finding: Finding) -> RenderableType:
    place = f"  {finding.place}" if finding.place else ""
    lines: list[RenderableType] = [Text(it) for it in finding.details]
    if finding.counterexample is not None:
        lines += _counterexample(finding.counterexample)
    return Group(
        Text.assemble(
            ("✗ ", "bold red"), (finding.kind.replace("-", " "), "bold red"), (place, "cyan")
        ),
        Padding(Text(f"{finding.message}.", style="bold"), (0, 0, 0, 2)),
        Padding(Group(*lines), (0, 0, 1, 4)),
    )


def _counterexample(found: Counterexample) -> Iterator[RenderableType]:
    """Yield what is needed to reproduce the finding, and nothing else."""
    others = [it for it in found.users if it not in (found.viewer, found.user)]
    yield Text(f"asked about: {'; '.join(found.changes)}", style="dim")
    for name, items in (
        ("also there", others),
        ("administrators", found.admins),
        ("rooms", found.rooms),
    ):
        if items:
            yield Text(f"{name}: {'; '.join(items)}", style="dim")


def _verdict(report: Report) -> Text:
    if report.is_good:
        return Text("Nothing is wrong.", style="bold green")
    if {it.kind for it in report.findings} == {Kind.HARDLY_RUN}:
        return Text("Not enough was exercised to say.", style="bold yellow")
    count = len(report.findings)
    return Text(f"{count} {'thing is' if count == 1 else 'things are'} wrong.", style="bold red")

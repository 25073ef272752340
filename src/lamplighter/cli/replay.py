"""`lamplighter replay`: how other modules would have decided about recorded events."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from lamplighter.clock import Timestamp
from lamplighter.config import load_config
from lamplighter.devtools.differences import Difference, DifferenceKind
from lamplighter.devtools.replay import Replay, ReplayReport
from lamplighter.logs import set_up_logs
from lamplighter.recording.events import Seen
from lamplighter.recording.files import read_record

__all__ = ["replay"]


def replay(record: Path, path: Path, *, as_json: bool) -> int:
    """Replay the record with the configuration at *path*, print what differs; return the exit code.

    Raises `ConfigError`, `ModuleError` and `RecordUnreadable`.
    """
    config = load_config(path)
    set_up_logs("error", config.log.format)  # the report has the failures of modules
    report = asyncio.run(Replay(config).run(read_record(record)))
    if as_json:
        encoded = msgspec.json.format(msgspec.json.encode(_as_json_values(report)), indent=2)
        sys.stdout.write(f"{encoded.decode()}\n")
    else:
        console = Console(highlight=False)
        for part in _report_lines(report):
            console.print(part)
    return 1 if len(report.differences) else 0


#: How many pairs of each kind the report shows to people.
_MOST_SHOWN: Final = 10

_HEADINGS: Final = {
    DifferenceKind.GAINED: ("green", "would gain visibility"),
    DifferenceKind.LOST: ("red", "would lose visibility"),
    DifferenceKind.ALTERED: ("yellow", "would see something else"),
}


def _report_lines(report: ReplayReport) -> Iterator[RenderableType]:
    """Yield what is printed."""
    period = f"{_time(report.began)} to {_time(report.ended)}"
    names = ", ".join(report.modules) or "no modules"
    yield f"[bold]{report.decisions} decisions[/], {period}, decided again by {escape(names)}"
    yield from _cautions(report)
    if not len(report.differences):
        yield "[green]Nothing differs:[/] everybody would see whom they saw, as they saw them."
        return
    for kind in DifferenceKind:
        yield from _section(kind, report.differences.of(kind))
    yield from _by_module(report)


def _as_json_values(report: ReplayReport) -> dict[str, Any]:
    """Return all of it as plain values."""
    differences = report.differences
    return {
        "began_ts": report.began,
        "ended_ts": report.ended,
        "decisions": report.decisions,
        "compared": differences.compared,
        "modules": dict(report.modules),
        "unanswered": dict(report.unanswered),
        "counts": {kind.value: len(differences.of(kind)) for kind in DifferenceKind},
        "by_module": {
            module: {kind.value: counts.get(kind, 0) for kind in DifferenceKind}
            for module, counts in differences.by_module().items()
        },
        "differences": [_values(difference) for difference in differences],
    }


def _cautions(report: ReplayReport) -> Iterator[str]:
    for name, problem in report.modules.items():
        if problem is not None:
            yield f"[red]Module {escape(name)} failed[/], last so: {escape(problem)}"
    if report.unanswered:
        asked = ", ".join(f"{what} ({count}x)" for what, count in report.unanswered.items())
        yield f"[yellow]No record holds what modules asked for:[/] {asked}"


def _section(kind: DifferenceKind, found: list[Difference]) -> Iterator[RenderableType]:
    if not found:
        return
    colour, heading = _HEADINGS[kind]
    yield ""
    pairs = "1 pair" if len(found) == 1 else f"{len(found)} pairs"
    yield f"[bold {colour}]{pairs} {heading}[/]"
    table = Table(box=None, pad_edge=False)
    for column in ("viewer", "of"):
        table.add_column(column, overflow="fold")  # no name is cut on a narrow terminal
    table.add_column("times", justify="right")
    table.add_column("first", no_wrap=True)
    table.add_column("because", overflow="fold")
    for it in found[:_MOST_SHOWN]:
        cells = (it.viewer, it.user_id, str(it.times), _time(it.at), _because(it))
        table.add_row(*map(escape, cells))
    yield Padding(table, (0, 2))
    if len(found) > _MOST_SHOWN:
        yield f"  and {len(found) - _MOST_SHOWN} more: --json shows all"


def _by_module(report: ReplayReport) -> Iterator[RenderableType]:
    by_module = report.differences.by_module()
    if not by_module:
        return
    yield ""
    table = Table(box=None, pad_edge=False)
    for column in ("by module", *(kind.value for kind in DifferenceKind)):
        table.add_column(column, justify="left" if column == "by module" else "right")
    for module, counts in by_module.items():
        table.add_row(escape(module), *(str(counts.get(kind, 0)) for kind in DifferenceKind))
    yield table


def _because(difference: Difference) -> str:
    """Return the reasons where the user is visible, and the altered state, if any."""
    match difference.kind:
        case DifferenceKind.GAINED:
            return _said(difference.after)
        case DifferenceKind.LOST:
            return f"was: {_said(difference.before)}"
        case DifferenceKind.ALTERED:
            return f"was: {_shown(difference.before)}; would be: {_shown(difference.after)}"


def _said(seen: Seen | None) -> str:
    return ", ".join(map(str, seen[1])) if seen else "nothing"


def _shown(seen: Seen | None) -> str:
    altered = ", ".join(f"{name} {value!r}" for name, value in seen[0]) if seen else ""
    return f"{altered or 'as they are'} ({_said(seen)})"


def _values(it: Difference) -> dict[str, Any]:
    return {
        "kind": it.kind.value,
        "viewer": it.viewer,
        "user": it.user_id,
        "first_ts": it.at,
        "times": it.times,
        "modules": it.modules,
        "before": _seen_values(it.before),
        "after": _seen_values(it.after),
    }


def _seen_values(seen: Seen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    altered, reasons = seen
    return {"altered": dict(altered), "reasons": [str(it) for it in reasons]}


def _time(instant: Timestamp) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")

"""`lamplighter explain`, `sees` and `seen-by`: who sees whom on a running server, and why."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Final

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lamplighter.cli.admin_client import AdminClient
from lamplighter.web.admin.content import PresenceContent, RoomContent
from lamplighter.web.admin.visibility_content import (
    ExplanationContent,
    HintContent,
    ReasonContent,
    VisibilityContent,
)

__all__ = ["ListQuestion", "explain", "show_list"]


class ListQuestion(Enum):
    """The lists of the admin API: the path, the user who is named, the users of the list."""

    SEES = ("/sees", "viewer", "subject")
    SEEN_BY = ("/seen_by", "subject", "viewer")


def explain(
    client: AdminClient, console: Console, viewer: str, subject: str, *, as_json: bool
) -> bool:
    """Show why *viewer* sees *subject*, or does not; return whether they do."""
    query = {"viewer": viewer, "subject": subject}
    explanation = client.get("/explain", query, ExplanationContent)
    if as_json:
        _write_json(console, explanation)
    else:
        console.print(_drawn_explanation(explanation))
    return explanation.sight.sees


def show_list(
    client: AdminClient, console: Console, question: ListQuestion, user: str, *, as_json: bool
) -> None:
    """Show whom *user* sees, or who sees *user*."""
    path, named, others = question.value
    entries = list(client.visibility(path, {named: user}))
    if as_json:
        _write_json(console, {"sights": entries})
    else:
        verb = "sees" if question is ListQuestion.SEES else "is seen by"
        console.print(_drawn_list(entries, f"{user} {verb}", others))


def _write_json(console: Console, content: Any) -> None:
    text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    console.print(text, markup=False, highlight=False, soft_wrap=True)


_COLOURS: Final = {
    "online": "green",
    "unavailable": "yellow",
    "offline": "dim",
    "org.matrix.msc3026.busy": "red",
}
_NAMES: Final = {"org.matrix.msc3026.busy": "busy"}


def _drawn_explanation(explanation: ExplanationContent) -> RenderableType:
    """Return the answer to one question, as a panel."""
    entry = explanation.sight
    verdict, colour = ("yes", "green") if entry.sees else ("no", "red")
    verb = " sees " if entry.sees else " does not see "
    rows = Table.grid(padding=(0, 2))
    for label, value in _rows(explanation):
        rows.add_row(Text(label, style="dim"), value)
    headline = Text.assemble((entry.viewer, "bold"), verb, (entry.subject, "bold"))
    return Panel(
        Group(headline, Text(), rows),
        title=Text(f" {verdict} ", style=f"bold {colour}"),
        title_align="left",
        border_style=colour,
        padding=(1, 2),
        expand=False,
    )


def _drawn_list(entries: Sequence[VisibilityContent], title: str, who: str) -> RenderableType:
    """Return a list of entries as a table; *who* says which of the two users each row names."""
    if not entries:
        return Text(f"{title} nobody.")
    table = Table(title=f"{title} {len(entries)}", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("who", "shown as", "because"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        reasons = Text("\n").join(Text(reason.text) for reason in entry.reasons)
        shown = _presence(entry.seen or entry.actual)
        if entry.showing == "altered":
            shown.append(f"\naltered by {', '.join(entry.altered_by)}", style="magenta")
        table.add_row(Text(getattr(entry, who)), shown, reasons)
    return table


def _rows(explanation: ExplanationContent) -> Iterator[tuple[str, Text]]:
    entry = explanation.sight
    yield from _labelled("because", [_reason(reason) for reason in entry.reasons])
    if entry.seen is not None:
        yield "shown as", _presence(entry.seen)
    if entry.showing == "altered":
        yield "", Text(f"altered by module {', '.join(entry.altered_by)}", style="magenta")
        if entry.overruled:
            yield "", Text(_overruled(entry.overruled), style="magenta")
        yield "in fact", _presence(entry.actual)
    label = "note" if entry.sees else "why not"
    yield from _labelled(label, [_hint(hint) for hint in explanation.hints])


def _overruled(modules: Sequence[str]) -> str:
    return (
        f"and otherwise by module {', '.join(modules)}, which stands earlier in the configuration"
    )


def _labelled(label: str, values: Sequence[Text]) -> Iterator[tuple[str, Text]]:
    return ((label if index == 0 else "", value) for index, value in enumerate(values))


def _reason(reason: ReasonContent) -> Text:
    if reason.room is None:
        return Text(reason.text)
    return Text("shared room ").append_text(_room(reason.room))


def _hint(hint: HintContent) -> Text:
    text = Text(hint.text)
    for room in hint.rooms:
        text.append("\n").append_text(_room(room))
    return text


def _room(room: RoomContent) -> Text:
    if room.name is None:
        return Text(room.room_id, style="cyan")
    return Text.assemble((room.name, "cyan"), (f"  {room.room_id}", "dim"))


def _presence(presence: PresenceContent) -> Text:
    colour = _COLOURS.get(presence.state, "")
    text = Text.assemble(("● ", colour), _NAMES.get(presence.state, presence.state))
    if presence.currently_active:
        text.append(", active", style="dim")
    if presence.status_msg:
        text.append(f" “{presence.status_msg}”", style="italic")
    return text

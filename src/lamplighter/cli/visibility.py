"""`lamplighter explain`, `sees` and `seen-by`: who sees whom on a running server, and why."""

from enum import Enum
from typing import Any

import msgspec
from rich.console import Console

from lamplighter.cli.admin_client import AdminClient
from lamplighter.cli.visibility_screen import drawn_explanation, drawn_list
from lamplighter.web.admin.visibility_content import ExplanationContent

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
        console.print(drawn_explanation(explanation))
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
        console.print(drawn_list(entries, f"{user} {verb}", others))


def _write_json(console: Console, content: Any) -> None:
    text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    console.print(text, markup=False, highlight=False, soft_wrap=True)

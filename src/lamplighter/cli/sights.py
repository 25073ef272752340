"""`lamplighter explain`, `sees` and `seen-by`: who sees whom on a running server, and why."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console

from lamplighter.cli.admin_client import AdminClient
from lamplighter.cli.sight_screen import drawn_explanation, drawn_list
from lamplighter.web.admin.visibility_content import ExplanationContent, VisibilityContent

__all__ = ["explain", "seen_by", "sees"]


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


def sees(client: AdminClient, console: Console, viewer: str, *, as_json: bool) -> None:
    """Show whom *viewer* sees."""
    sights = list(client.sights("/sees", {"viewer": viewer}))
    _show(console, sights, f"{viewer} sees", "subject", as_json=as_json)


def seen_by(client: AdminClient, console: Console, subject: str, *, as_json: bool) -> None:
    """Show who sees *subject*."""
    sights = list(client.sights("/seen_by", {"subject": subject}))
    _show(console, sights, f"{subject} is seen by", "viewer", as_json=as_json)


def _show(
    console: Console, sights: Sequence[VisibilityContent], title: str, who: str, *, as_json: bool
) -> None:
    if as_json:
        _write_json(console, {"sights": sights})
    else:
        console.print(drawn_list(sights, title, who))


def _write_json(console: Console, content: Any) -> None:
    text = msgspec.json.format(msgspec.json.encode(content), indent=2).decode()
    console.print(text, markup=False, highlight=False, soft_wrap=True)

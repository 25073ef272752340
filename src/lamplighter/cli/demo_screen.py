"""The demo's live view: who is online, who was told what, and why."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lamplighter.app import Lamplighter
from lamplighter.cli.demo_text import Told
from lamplighter.ids import UserId, localpart_of

__all__ = ["Screen"]

_COLOURS = {"online": "green", "unavailable": "yellow", "offline": "dim"}


class Screen:
    """Draws itself anew whenever Rich asks."""

    def __init__(
        self, server: Lamplighter, base: str, people: Sequence[UserId], history: Sequence[Told]
    ) -> None:
        self._server = server
        self._base = base
        self._people = people
        self._history = history
        #: What has happened before the view began.
        self.story: Sequence[str] = ()

    def __rich__(self) -> RenderableType:
        """Return the whole view."""
        return Panel(
            Group(
                Text("alice, bob and charlie share no room; a module shows bob to alice.\n"),
                *(Text(f"• {line}") for line in self.story),
                Text(),
                self._who_is_online(),
                Text(),
                self._who_was_told(),
            ),
            title=f"Lamplighter at {self._base}",
            subtitle="paste a line from above to see it move · Ctrl-C stops",
            border_style="blue",
        )

    def _who_is_online(self) -> Table:
        table = Table("who", "presence", "status message", title="Who is online", expand=True)
        for user_id in self._people:
            state = self._server.presence.presence_of(user_id)
            colour = _COLOURS.get(state.state, "red")
            table.add_row(
                localpart_of(user_id), Text(state.state, style=colour), Text(state.status_msg or "")
            )
        return table

    def _who_was_told(self) -> Table:
        table = Table(
            "viewer", "about", "what", "because", title="Who was told, and why", expand=True
        )
        for entry in reversed(self._history):
            table.add_row(entry.viewer, entry.about, Text(entry.presence), Text(entry.because))
        return table

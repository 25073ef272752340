"""The output of the demo: its lines, and the live view of users, deliveries and reasons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lamplighter.app import Lamplighter
from lamplighter.homeserver.values import Login
from lamplighter.ids import UserId, localpart_of
from lamplighter.presence.state import UserPresenceState
from lamplighter.service import Published

__all__ = ["Screen", "Told", "curl_lines", "dashboard_lines", "told"]

#: The lines of the view besides the rows of reasons, and one for the terminal's cursor.
_OTHER_LINES: Final = 18
_FEWEST_ROWS: Final = 2

_COLOURS = {"online": "green", "unavailable": "yellow", "offline": "dim"}


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery: a user got another user's presence, and why."""

    viewer: str
    about: str
    presence: str
    because: str

    def __str__(self) -> str:
        return f"{self.viewer} was told: {self.about} is {self.presence} (because: {self.because})"


def told(published: Published) -> list[Told]:
    """Return the deliveries of other users' presence."""
    return [
        Told(
            localpart_of(viewer),
            localpart_of(delivery.user_id),
            _in_words(delivery.state),
            " and ".join(map(str, reasons)),
        )
        for delivery in published.deliveries
        for viewer, reasons in delivery.recipients.items()
        if viewer != delivery.user_id
    ]


def _in_words(state: UserPresenceState) -> str:
    """Return a presence in words."""
    message = f" “{state.status_msg}”" if state.status_msg else ""
    return f"{state.state}{message}"


def curl_lines(base: str, logins: Iterable[Login], say: UserId) -> Sequence[str]:
    """Return commands to paste: one sets a status, and the others sync."""
    tokens = {login.user_id: login.access_token for login in logins}
    status = f"{base}/_matrix/client/v3/presence/{quote(say, safe='@:')}/status"
    body = '{"presence": "unavailable", "status_msg": "lunch"}'
    return [
        f"curl -X PUT '{status}' -H 'Authorization: Bearer {tokens[say]}' -d '{body}'",
        *(
            f"curl '{base}/_matrix/client/v3/sync' -H 'Authorization: Bearer {token}'"
            f"  # as {localpart_of(user_id)}"
            for user_id, token in tokens.items()
        ),
    ]


def dashboard_lines(base: str, token: str) -> Sequence[str]:
    """Return the dashboard's address and its token, each in a line of at most 80 columns."""
    return [f"The dashboard: {base}/_lamplighter/", f"The token that it asks for: {token}"]


class Screen:
    """A view that is drawn anew whenever Rich asks for it."""

    def __init__(
        self, server: Lamplighter, base: str, people: Sequence[UserId], history: Sequence[Told]
    ) -> None:
        self._server = server
        self._base = base
        self._people = people
        self._history = history
        #: What has happened before the view began.
        self.story: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the whole view: first as many reasons as fit."""
        del options
        rows = max(_FEWEST_ROWS, console.height - _OTHER_LINES)
        yield Panel(
            Group(
                Text("alice, bob and charlie share no room; a module shows bob to alice."),
                Text(),
                self._who_was_told(rows),
                Text(),
                self._who_is_online(),
                Text(),
                *(Text(f"• {line}", no_wrap=True, overflow="ellipsis") for line in self.story),
            ),
            title=f"Lamplighter at {self._base}",
            subtitle="scroll up for lines to paste · Ctrl-C stops",
            border_style="blue",
        )

    def _who_is_online(self) -> Table:
        table = _table("Who is online", "who", "presence", "status message")
        for user_id in self._people:
            state = self._server.core.for_modules.presence_of(user_id)
            colour = _COLOURS.get(state.state, "red")
            table.add_row(
                localpart_of(user_id), Text(state.state, style=colour), Text(state.status_msg or "")
            )
        return table

    def _who_was_told(self, rows: int) -> Table:
        table = _table("Who was told, and why", "viewer", "about", "what", "because")
        for entry in list(reversed(self._history))[:rows]:
            table.add_row(entry.viewer, entry.about, Text(entry.presence), Text(entry.because))
        return table


def _table(title: str, *columns: str) -> Table:
    """Return a table of which each row is one line, whatever the width."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, expand=True)
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table

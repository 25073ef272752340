"""What the demo says, as plain values: lines of text and rows of tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from lamplighter.homeserver.values import Login
from lamplighter.ids import UserId, localpart_of
from lamplighter.presence.state import UserPresenceState
from lamplighter.service import Published

__all__ = ["Told", "curl_lines", "dashboard_lines", "presence_in_words", "told"]


@dataclass(frozen=True, slots=True)
class Told:
    """One person was told of another, and why."""

    viewer: str
    about: str
    presence: str
    because: str

    def __str__(self) -> str:
        return f"{self.viewer} was told: {self.about} is {self.presence} (because: {self.because})"


def told(published: Published) -> list[Told]:
    """Return who was told of somebody else's presence."""
    return [
        Told(
            localpart_of(viewer),
            localpart_of(telling.user_id),
            presence_in_words(telling.state),
            " and ".join(map(str, reasons)),
        )
        for telling in published.tellings
        for viewer, reasons in telling.recipients.items()
        if viewer != telling.user_id
    ]


def presence_in_words(state: UserPresenceState) -> str:
    """Return a presence as people say it."""
    message = f" “{state.status_msg}”" if state.status_msg else ""
    return f"{state.state}{message}"


def curl_lines(base: str, logins: Iterable[Login], say: UserId) -> Sequence[str]:
    """Return commands to paste: *say* sets a status, and everybody syncs."""
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
    """Return where the dashboard is, and what opens it; each fits a terminal of 80 columns."""
    return [f"The dashboard: {base}/_lamplighter/", f"The token that it asks for: {token}"]

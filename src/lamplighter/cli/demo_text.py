"""The texts of the demo as plain values: lines, and rows of tables."""

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
            presence_in_words(delivery.state),
            " and ".join(map(str, reasons)),
        )
        for delivery in published.deliveries
        for viewer, reasons in delivery.recipients.items()
        if viewer != delivery.user_id
    ]


def presence_in_words(state: UserPresenceState) -> str:
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

"""The result of `alice.sees(bob)`, which explains itself if an assertion fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.routing.reasons import Reasons

__all__ = ["ALLOWED", "SeesResult", "Wanted", "result_of", "result_without_reasons"]


#: The presences that a test may ask for; `busy` has the long name that clients send.
ALLOWED: Final = tuple(str(it) for it in Presence)


@dataclass(frozen=True, slots=True)
class SeesResult:
    """True or false, with the reasons: `assert alice.sees(bob)` prints them when it fails."""

    holds: bool
    explanation: str

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return self.explanation


@dataclass(frozen=True, slots=True)
class Wanted:
    """The demand of a test: the presence (None is anything but offline), and the message."""

    presence: str | None = None
    #: None is any message, or none.
    status_msg: str | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for an unknown presence."""
        if self.presence is not None and self.presence not in ALLOWED:
            raise ValueError(f"there is no presence {self.presence!r}: {', '.join(ALLOWED)}")

    def is_met_by(self, shown: Mapping[str, Any]) -> bool:
        """Tell whether *shown*, the content of an `m.presence` event, is what is asked for."""
        presence = shown.get("presence", Presence.OFFLINE)
        as_wanted = presence == self.presence if self.presence else presence != Presence.OFFLINE
        return as_wanted and self.status_msg in (None, shown.get("status_msg"))

    def __str__(self) -> str:
        message = f" “{self.status_msg}”" if self.status_msg else ""
        return f"{self.presence or 'anything but offline'}{message}"


def result_of(
    viewer: str,
    user: str,
    wanted: Wanted,
    shown: Mapping[str, Any] | None,
    allowed: tuple[UserPresenceState, Reasons] | None,
    *,
    modules: bool,
) -> SeesResult:
    """Return whether the viewer sees the user as *wanted*, and why.

    *shown* is what the viewer's client shows, None for nothing. *allowed* is what is visible to the
    viewer by the server's rules, and why. *modules* tells whether any modules are loaded.
    """
    holds = wanted.is_met_by(shown or {})
    if allowed is None:
        why = "no module names" if modules else "no module is loaded that could name"
        nothing = f"no shared room, and {why} {user}"
        if shown is None or _is_offline(shown):
            return SeesResult(holds, f"{viewer} does not see {user}: {nothing}")
        return SeesResult(
            holds, f"{viewer} still sees {user} as {_described(shown)}, but: {nothing}"
        )
    _, reasons = allowed
    because = f"because: {' and '.join(map(str, reasons))}"
    if shown is None:
        return SeesResult(
            holds, f"{viewer} has been shown nothing of {user}, who was never online ({because})"
        )
    text = f"{viewer} sees {user} as {_described(shown)}"
    return SeesResult(
        holds, f"{text} ({because})" if holds else f"{text}, not as {wanted} ({because})"
    )


def result_without_reasons(
    viewer: str, user: str, wanted: Wanted, shown: Mapping[str, Any] | None
) -> SeesResult:
    """Return whether the viewer sees the user as *wanted*, while a module has not answered why."""
    text = f"{viewer} does not see {user}"
    if shown is not None and not _is_offline(shown):
        text = f"{viewer} sees {user} as {_described(shown)}"
    return SeesResult(wanted.is_met_by(shown or {}), f"{text} (a module has not answered yet)")


def _is_offline(shown: Mapping[str, Any]) -> bool:
    return bool(shown.get("presence", Presence.OFFLINE) == Presence.OFFLINE)


def _described(shown: Mapping[str, Any]) -> str:
    message = f" “{shown['status_msg']}”" if shown.get("status_msg") else ""
    return f"{shown.get('presence', Presence.OFFLINE)}{message}"

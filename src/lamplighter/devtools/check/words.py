"""Presences, questions and answers, as a report writes them."""

from collections.abc import Iterable, Sequence

from lamplighter.devtools.check.worlds import World
from lamplighter.presence.state import UserPresenceState
from lamplighter.routing.answers import CheckedInterest, CheckedRoutes

__all__ = [
    "answer_in_words",
    "changes_in_words",
    "interest_in_words",
    "question_in_words",
    "rooms_in_words",
]

#: So many items of a list are written.
_MOST = 6


def changes_in_words(states: Iterable[UserPresenceState]) -> list[str]:
    """Return each state as `@bob:demo online “brb”`."""
    return [f"{state.user_id} {_presence(state)}" for state in states]


def question_in_words(asked: Sequence[UserPresenceState] | str) -> str:
    """Return the question as a call: of one callback about states, or of the other about a user."""
    if isinstance(asked, str):
        return f"get_interested_users({asked})"
    return f"get_users_for_states([{_some(changes_in_words(asked))}])"


def answer_in_words(routes: CheckedRoutes) -> str:
    """Return an answer of `get_users_for_states`, in the order of the viewers."""
    viewers = [
        f"{viewer}: {{{_some(changes_in_words(states[it] for it in sorted(states)))}}}"
        for viewer, states in sorted(routes.routes.items())
    ]
    return f"{{{_some(viewers)}}}"


def interest_in_words(interest: CheckedInterest) -> str:
    """Return an answer of `get_interested_users`, in the order of the users."""
    if interest.all_users:
        return "PRESENCE_ALL_USERS"
    return f"{{{_some(sorted(interest.named))}}}" if interest.named else "set()"


def rooms_in_words(world: World) -> list[str]:
    """Return each room with its members."""
    return [
        f"{room.room_id}: "
        + (", ".join(f"{it} ({membership})" for it, membership in room.members.items()) or "nobody")
        for room in world.rooms
    ]


def _presence(state: UserPresenceState) -> str:
    message = f" “{state.status_msg}”" if state.status_msg else ""
    return f"{state.state.rpartition('.')[2]}{message}"


def _some(texts: Sequence[str]) -> str:
    rest = [f"… {len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return ", ".join([*texts[:_MOST], *rest])

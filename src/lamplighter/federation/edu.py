"""`m.presence` as servers tell it to each other, written and read.

Implements <https://spec.matrix.org/latest/server-server-api/#presence>.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

from lamplighter.clock import Timestamp
from lamplighter.ids import ServerName, UserId, is_user_id, server_of
from lamplighter.ports import Json
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.presence.status_message import StatusMessage, parse_status_msg, shorten_status_msg

__all__ = ["MAX_PUSH", "PRESENCE_EDU", "ParsedEdu", "parse_presence_edu", "presence_edu"]

T = TypeVar("T")

PRESENCE_EDU: Final = "m.presence"
#: So many users are told of in one EDU.
MAX_PUSH: Final = 50
#: So many entries of somebody else's EDU are looked at.
MAX_ENTRIES: Final = 1000

_BY_NAME: Final = {str(presence): presence for presence in Presence}


@dataclass(frozen=True, slots=True)
class ParsedEdu:
    """What an EDU says, and what in it could not be believed, each with its place and reason."""

    updates: list[RemoteUpdate]
    faults: list[str]


def presence_edu(states: Sequence[UserPresenceState], now: Timestamp) -> Json:
    """Return the EDU that tells *states*; raise `ValueError` if they are more than 50."""
    if len(states) > MAX_PUSH:
        raise ValueError(f"{len(states)} users are too many for one EDU")
    push = [_entry(state, now) for state in states]
    return {"edu_type": PRESENCE_EDU, "content": {"push": push}}


def parse_presence_edu(
    content: object, origin: ServerName, now: Timestamp, *, busy_allowed: bool
) -> ParsedEdu:
    """Return what *content*, of an `m.presence` EDU that *origin* sent, says of origin's users.

    Each entry is judged alone. A malformed user ID or presence, or another server's user, is a
    fault and costs that entry only; any other malformed field costs that field only.
    Nothing is raised, whatever *content* is.
    """
    push = content.get("push") if isinstance(content, dict) else None
    if not isinstance(push, list):
        return ParsedEdu([], ["push: not an array"])
    parsed = ParsedEdu([], [])
    for place, entry in enumerate(push[:MAX_ENTRIES]):
        try:
            update, faults = _update(entry, origin, now, busy_allowed=busy_allowed)
        except _Fault as fault:
            parsed.faults.append(f"push[{place}]: {fault}")
        else:
            parsed.updates.append(update)
            parsed.faults.extend(f"push[{place}]: {fault}" for fault in faults)
    if len(push) > MAX_ENTRIES:
        parsed.faults.append(f"push: {len(push)} entries, of which {MAX_ENTRIES} were read")
    return parsed


class _Fault(Exception):
    """What is wrong with an entry."""


def _entry(state: UserPresenceState, now: Timestamp) -> Json:
    # The field is always there; 0 says nothing, of who never was active.
    ago = max(1, now - state.last_active_ts) if state.last_active_ts else 0
    # As a plain string: this is encoded, and perhaps compared, by others.
    entry: Json = {
        "user_id": state.user_id,
        "presence": str(state.state),
        "last_active_ago": ago,
    }
    message = shorten_status_msg(state.status_msg)
    if message:
        entry["status_msg"] = message
    if state.state == Presence.ONLINE:
        entry["currently_active"] = state.currently_active
    return entry


def _update(
    entry: object, origin: ServerName, now: Timestamp, *, busy_allowed: bool
) -> tuple[RemoteUpdate, list[str]]:
    """Return what *entry* says, and what is wrong with fields that it can do without."""
    if not isinstance(entry, dict):
        raise _Fault("not an object")
    user_id, presence = _user_id(entry, origin), _presence(entry, busy_allowed=busy_allowed)
    faults: list[str] = []

    def field(read: Callable[[Mapping[str, Any]], T], otherwise: T) -> T:
        try:
            return read(entry)
        except _Fault as fault:
            faults.append(f"{fault}; left out")
            return otherwise

    update = RemoteUpdate(
        user_id,
        presence,
        status_msg=field(_status_msg, None),
        last_active_ago=field(partial(_last_active_ago, now=now), None),
        currently_active=field(_currently_active, False),
    )
    return update, faults


def _user_id(entry: Mapping[str, Any], origin: ServerName) -> UserId:
    user_id = entry.get("user_id")
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise _Fault("user_id: missing, or not a user ID")
    if server_of(UserId(user_id)) != origin:
        raise _Fault(f"user_id: {user_id} is not a user of {origin}")
    return UserId(user_id)


def _presence(entry: Mapping[str, Any], *, busy_allowed: bool) -> Presence:
    """Return the presence; busy is unavailable to a server that does not know it."""
    name = entry.get("presence")
    presence = _BY_NAME.get(name) if isinstance(name, str) else None
    if presence is None:
        raise _Fault("presence: missing, or unknown")
    if presence is Presence.BUSY and not busy_allowed:
        return Presence.UNAVAILABLE
    return presence


def _status_msg(entry: Mapping[str, Any]) -> StatusMessage | None:
    message = entry.get("status_msg")
    if message is not None and not isinstance(message, str):
        raise _Fault("status_msg: not text")
    try:
        return parse_status_msg(message)
    except ValueError as fault:
        raise _Fault(f"status_msg: {fault}") from None


def _last_active_ago(entry: Mapping[str, Any], now: Timestamp) -> timedelta | None:
    """Return None where nothing is said of it.

    Synapse leaves the field out of who never was active, and takes 0 for nothing, as we do.
    """
    if "last_active_ago" not in entry:
        return None
    ago = entry["last_active_ago"]
    if not isinstance(ago, int) or isinstance(ago, bool):
        raise _Fault("last_active_ago: not an integer")
    if not 0 <= ago <= now:
        raise _Fault("last_active_ago: in the future, or from before the epoch")
    return timedelta(milliseconds=ago) if ago else None


def _currently_active(entry: Mapping[str, Any]) -> bool:
    active = entry.get("currently_active", False)
    if not isinstance(active, bool):
        raise _Fault("currently_active: not a boolean")
    return active

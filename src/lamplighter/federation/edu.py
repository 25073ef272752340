"""`m.presence` as servers tell it to each other, written and read.

Implements <https://spec.matrix.org/latest/server-server-api/#presence>.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from lamplighter.clock import Timestamp
from lamplighter.ids import ServerName, UserId, is_user_id, server_of
from lamplighter.ports import Json
from lamplighter.presence.events import RemoteUpdate
from lamplighter.presence.state import Presence, UserPresenceState, is_text

__all__ = ["MAX_PUSH", "PRESENCE_EDU", "ParsedEdu", "parse_presence_edu", "presence_edu"]

PRESENCE_EDU: Final = "m.presence"
#: So many users are told of in one EDU.
MAX_PUSH: Final = 50
#: So many entries of somebody else's EDU are looked at.
MAX_ENTRIES: Final = 1000
#: How long a status message may be, in bytes.
MAX_STATUS_MSG: Final = 1024

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

    Each entry is judged alone: what is malformed, or about another server's user, is a fault
    and costs that entry only. Nothing is raised, whatever *content* is.
    """
    push = content.get("push") if isinstance(content, dict) else None
    if not isinstance(push, list):
        return ParsedEdu([], ["push: not an array"])
    parsed = ParsedEdu([], [])
    for place, entry in enumerate(push[:MAX_ENTRIES]):
        try:
            parsed.updates.append(_update(entry, origin, now, busy_allowed=busy_allowed))
        except _Fault as fault:
            parsed.faults.append(f"push[{place}]: {fault}")
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
    if state.status_msg:
        entry["status_msg"] = state.status_msg
    if state.state == Presence.ONLINE:
        entry["currently_active"] = state.currently_active
    return entry


def _update(
    entry: object, origin: ServerName, now: Timestamp, *, busy_allowed: bool
) -> RemoteUpdate:
    if not isinstance(entry, dict):
        raise _Fault("not an object")
    return RemoteUpdate(
        user_id=_user_id(entry, origin),
        presence=_presence(entry, busy_allowed=busy_allowed),
        status_msg=_status_msg(entry),
        last_active_ago=_last_active_ago(entry, now),
        currently_active=_currently_active(entry),
    )


def _user_id(entry: Mapping[str, Any], origin: ServerName) -> UserId:
    user_id = entry.get("user_id")
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise _Fault("user_id: missing, or not a user ID")
    if server_of(UserId(user_id)) != origin:
        raise _Fault(f"user_id: {user_id} is not a user of {origin}")
    return UserId(user_id)


def _presence(entry: Mapping[str, Any], *, busy_allowed: bool) -> Presence:
    name = entry.get("presence")
    presence = _BY_NAME.get(name) if isinstance(name, str) else None
    if presence is None:
        raise _Fault("presence: missing, or unknown")
    if presence is Presence.BUSY and not busy_allowed:
        raise _Fault("presence: busy is not allowed here")
    return presence


def _status_msg(entry: Mapping[str, Any]) -> str | None:
    message = entry.get("status_msg")
    if message is None or message == "":
        return None
    if not isinstance(message, str):
        raise _Fault("status_msg: not text")
    if "\0" in message or not is_text(message):
        raise _Fault("status_msg: holds a NUL, or half a surrogate pair")
    if len(message.encode()) > MAX_STATUS_MSG:
        raise _Fault(f"status_msg: longer than {MAX_STATUS_MSG} bytes")
    return message


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
        raise _Fault("last_active_ago: negative, or from before the epoch")
    return timedelta(milliseconds=ago) if ago else None


def _currently_active(entry: Mapping[str, Any]) -> bool:
    active = entry.get("currently_active", False)
    if not isinstance(active, bool):
        raise _Fault("currently_active: not a boolean")
    return active

"""`m.presence` EDUs: make them from states, and parse those of other servers.

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
#: How many users are in one EDU that this server sends.
MAX_PUSH: Final = 50
#: How many entries of a received EDU are read.
MAX_ENTRIES: Final = 1000

_BY_NAME: Final = {str(presence): presence for presence in Presence}


@dataclass(frozen=True, slots=True)
class ParsedEdu:
    """The content of an EDU."""

    updates: list[RemoteUpdate]
    #: For each refused entry or field, its place in the EDU and the reason.
    faults: list[str]


def presence_edu(states: Sequence[UserPresenceState], now: Timestamp) -> Json:
    """Return an EDU with *states*. Raises `ValueError` if there are more than 50."""
    if len(states) > MAX_PUSH:
        raise ValueError(f"{len(states)} users are too many for one EDU")
    push: list[Json] = []
    for state in states:
        # The field is required; 0 stands for a user who never was active.
        ago = max(1, now - state.last_active_ts) if state.last_active_ts else 0
        # `str`, because the enumeration's member is no plain string for some encoders.
        entry = {"user_id": state.user_id, "presence": str(state.state), "last_active_ago": ago}
        if message := shorten_status_msg(state.status_msg):
            entry["status_msg"] = message
        if state.state == Presence.ONLINE:
            entry["currently_active"] = state.currently_active
        push.append(entry)
    return {"edu_type": PRESENCE_EDU, "content": {"push": push}}


def parse_presence_edu(
    content: object, origin: ServerName, now: Timestamp, *, busy_allowed: bool
) -> ParsedEdu:
    """Return the updates in *content*, the content of an `m.presence` EDU from *origin*.

    Each entry is checked alone. A malformed user ID, an unknown presence, or a user of another
    server than *origin* costs that entry. Any other malformed field costs that field only.
    No *content* raises an exception.
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
    """The reason why an entry or a field is refused."""


def _update(
    entry: object, origin: ServerName, now: Timestamp, *, busy_allowed: bool
) -> tuple[RemoteUpdate, list[str]]:
    """Return the update in *entry*, and the faults of optional fields, which are left out."""
    if not isinstance(entry, dict):
        raise _Fault("not an object")
    user_id = entry.get("user_id")
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise _Fault("user_id: missing, or not a user ID")
    if server_of(UserId(user_id)) != origin:
        raise _Fault(f"user_id: {user_id} is not a user of {origin}")
    name = entry.get("presence")
    presence = _BY_NAME.get(name) if isinstance(name, str) else None
    if presence is None:
        raise _Fault("presence: missing, or unknown")
    if presence is Presence.BUSY and not busy_allowed:
        presence = Presence.UNAVAILABLE
    faults: list[str] = []

    def field(read: Callable[[Mapping[str, Any]], T], otherwise: T) -> T:
        try:
            return read(entry)
        except _Fault as fault:
            faults.append(f"{fault}; left out")
            return otherwise

    update = RemoteUpdate(
        UserId(user_id),
        presence,
        status_msg=field(_status_msg, None),
        last_active_ago=field(partial(_last_active_ago, now=now), None),
        currently_active=field(_currently_active, False),
    )
    return update, faults


def _status_msg(entry: Mapping[str, Any]) -> StatusMessage | None:
    message = entry.get("status_msg")
    if message is not None and not isinstance(message, str):
        raise _Fault("status_msg: not text")
    try:
        return parse_status_msg(message)
    except ValueError as fault:
        raise _Fault(f"status_msg: {fault}") from None


def _last_active_ago(entry: Mapping[str, Any], now: Timestamp) -> timedelta | None:
    """Return the duration; None if the field is absent or 0.

    Synapse leaves the field out for a user who never was active, and ignores 0. So do we.
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

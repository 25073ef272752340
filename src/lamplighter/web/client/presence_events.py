"""`m.presence` as clients read it.

Implements <https://spec.matrix.org/latest/client-server-api/#mpresence>.
"""

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.presence.state import Presence, UserPresenceState
from lamplighter.recent import Recent

__all__ = ["PresenceEncoder", "presence_content", "presence_event"]

#: Users whose encoded events are cached.
_MOST_KEPT: Final = 20_000


def presence_content(state: UserPresenceState, now: Timestamp) -> dict[str, Any]:
    """Return the content of the event, with `last_active_ago` as of *now*."""
    content: dict[str, Any] = {"presence": state.state}
    if state.last_active_ts:
        content["last_active_ago"] = max(0, now - state.last_active_ts)
    if state.state == Presence.ONLINE:
        content["currently_active"] = state.currently_active
    if state.status_msg:
        content["status_msg"] = state.status_msg
    return content


def presence_event(state: UserPresenceState, now: Timestamp) -> dict[str, Any]:
    """Return the event as `/sync` has it."""
    content = presence_content(state, now)
    return {"type": "m.presence", "sender": state.user_id, "content": content}


#: A state, and its event as JSON, with `%d` for the one number in it that passes with time; every
#: other `%` is doubled. A plain tuple: it is unpacked for each user in a first sync.
_Encoded: TypeAlias = tuple[UserPresenceState, bytes]


class PresenceEncoder:
    """Encodes each state once, for all viewers."""

    def __init__(self) -> None:
        #: By user. A state is recognised by its identity; beside its JSON it stays the state's own.
        self._known: Recent[str, _Encoded] = Recent(_MOST_KEPT)

    def encode(self, states: Iterable[UserPresenceState], now: Timestamp) -> bytes:
        """Return the events as of *now* as JSON, separated by commas."""
        # The loop runs once per user in a first sync: a list, and no call where none is needed.
        known_of = self._known.peek
        events, ages = [], []
        for state in states:
            known = known_of(state.user_id)
            if known is None or known[0] is not state:
                known = self._encode(state)
            events.append(known[1])
            if active := state.last_active_ts:
                ages.append(now - active if active < now else 0)
        return b",".join(events) % tuple(ages)

    def _encode(self, state: UserPresenceState) -> _Encoded:
        # Inside a JSON string every quote is escaped: what this finds is the field itself.
        then = Timestamp(state.last_active_ts)
        event = msgspec.json.encode(presence_event(state, then)).replace(b"%", b"%%")
        encoded = state, event.replace(b'"last_active_ago":0', b'"last_active_ago":%d')
        self._known.put(state.user_id, encoded)
        return encoded

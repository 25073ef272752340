"""`m.presence` as clients read it.

Implements <https://spec.matrix.org/latest/client-server-api/#mpresence>.
"""

from typing import Any

import msgspec

from lamplighter.clock import Clock, Timestamp
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["PresenceEncoder", "presence_content", "presence_event"]


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


class PresenceEncoder:
    """Encodes each state once for all who are told of it in the same millisecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._encoded_at = Timestamp(0)
        #: By the identity of the state, which is kept beside it so that it stays the state's own.
        self._encoded: dict[int, tuple[UserPresenceState, bytes]] = {}

    def encode(self, state: UserPresenceState) -> bytes:
        """Return the event as JSON."""
        now = self._clock.now()
        if now != self._encoded_at:
            self._encoded.clear()
            self._encoded_at = now
        known = self._encoded.get(id(state))
        if known is None:
            known = state, msgspec.json.encode(presence_event(state, now))
            self._encoded[id(state)] = known
        return known[1]

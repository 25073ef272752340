"""`m.presence` as clients read it.

Implements <https://spec.matrix.org/latest/client-server-api/#mpresence>.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from lamplighter.clock import Clock, Timestamp
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["PresenceEncoder", "presence_content", "presence_event"]

#: So many users' events are kept encoded.
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


class _Encoded(NamedTuple):
    """An event as JSON, but for the one number in it that passes with time."""

    state: UserPresenceState
    #: Up to `last_active_ago`, without the number; the whole event where it has none.
    head: bytes
    #: What comes after the number; empty where there is none.
    tail: bytes


class PresenceEncoder:
    """Encodes each state once, for all who are ever told of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: By user. A state is recognised by its identity; beside its JSON it stays the state's own.
        self._kept: dict[str, _Encoded] = {}

    def encode(self, states: Iterable[UserPresenceState]) -> bytes:
        """Return the events as JSON, separated by commas."""
        return b",".join(self._events(states))

    def _events(self, states: Iterable[UserPresenceState]) -> Iterator[bytes]:
        now, kept = self._clock.now(), self._kept
        for state in states:
            known = kept.get(state.user_id)
            if known is None or known.state is not state:
                known = self._encode(state)
            _, head, tail = known
            ago = max(0, now - state.last_active_ts)
            yield b"%b%d%b" % (head, ago, tail) if tail else head

    def _encode(self, state: UserPresenceState) -> _Encoded:
        # Inside a JSON string every quote is escaped: what this finds is the field itself.
        then = Timestamp(state.last_active_ts)
        event = msgspec.json.encode(presence_event(state, then))
        head, field, tail = event.partition(b'"last_active_ago":0')
        encoded = _Encoded(state, head + field[:-1], tail)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[state.user_id] = encoded
        return encoded

"""Which users an answer contains: of a first sync, of a token, of a snapshot."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from lamplighter.ids import StreamPosition, UserId
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = ["Scope", "everything", "first_sync", "online_or_since", "since"]

#: A module-level name: attribute access on an enumeration is slow where it is done for thousands.
_OFFLINE: Final = Presence.OFFLINE

#: Tells by a user's state alone whether it belongs into an answer.
ByState: TypeAlias = Callable[[UserPresenceState], bool]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which users an answer contains."""

    #: Whether it contains every user who is not offline.
    online: bool = False
    #: If so, which offline users it contains as well; None is none of them.
    offline: ByState | None = None
    #: Users who have changed, or become visible, after this position. None: nobody, by that.
    after: StreamPosition | None = None
    #: Users whose visibility has ended after this position. None: the client starts afresh, and
    #: shows nobody.
    ended: StreamPosition | None = None

    def admits_state(self, state: UserPresenceState) -> bool:
        """Tell whether a user's state alone brings them into the answer."""
        if state.state != _OFFLINE:
            return self.online
        return self.online and self.offline is not None and self.offline(state)

    def admits_news(self, position: StreamPosition | None) -> bool:
        """Tell whether what happened at *position*, a change or a new visibility, is new."""
        return self.after is not None and position is not None and position > self.after


def first_sync(viewer: UserId, ended: StreamPosition | None = None) -> Scope:
    """Users who are not offline, offline users with a status message, and the viewer.

    *ended* is from where the client knows what it shows, if it asks for everything once more.
    """

    def belongs(state: UserPresenceState) -> bool:
        return bool(state.status_msg) or state.user_id == viewer

    return Scope(online=True, offline=belongs, ended=ended)


def everything(ended: StreamPosition | None = None) -> Scope:
    """Everybody: the answer to a token that means nothing to this server."""
    return Scope(online=True, offline=lambda _state: True, ended=ended)


def since(position: StreamPosition) -> Scope:
    """Users who have changed, become visible, or ceased to be visible after *position*."""
    return Scope(after=position, ended=position)


def online_or_since(position: StreamPosition) -> Scope:
    """Users who are not offline, besides those of `since`."""
    return Scope(online=True, after=position, ended=position)

"""How a user's devices become the user's presence: busy beats online beats unavailable."""

from collections.abc import Iterable

from lamplighter.presence.state import PRESENCE_RANK, Presence

__all__ = ["combine"]


def combine(presences: Iterable[Presence]) -> Presence:
    """Return the highest of the devices' *presences*; without a device the user is offline."""
    return max(presences, key=PRESENCE_RANK.__getitem__, default=Presence.OFFLINE)

"""How the presences of a user's devices become the user's: busy > online > unavailable."""

from collections.abc import Iterable

from lamplighter.presence.state import PRESENCE_RANK, Presence

__all__ = ["combine"]


def combine(presences: Iterable[Presence]) -> Presence:
    """Return the highest of the devices' *presences*; a user without devices is offline."""
    return max(presences, key=PRESENCE_RANK.__getitem__, default=Presence.OFFLINE)

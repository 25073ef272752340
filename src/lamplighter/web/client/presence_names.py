"""Which presences a client may name."""

from lamplighter.errors import InvalidParam
from lamplighter.presence.state import Presence

__all__ = ["PresenceNames"]


class PresenceNames:
    """Reads a presence by its name; `busy` only where the operator allows it."""

    def __init__(self, *, busy: bool) -> None:
        self._known = {
            str(presence): presence for presence in Presence if busy or presence != Presence.BUSY
        }

    def parse(self, field: str, name: str) -> Presence:
        """Return the presence that *name* names; raise `InvalidParam`, which names *field*."""
        presence = self._known.get(name)
        if presence is None:
            raise InvalidParam(f"{field}: {name[:60]!r} is none of {', '.join(self._known)}")
        return presence

"""What a device's presence becomes: the table.

Rule 1: whatever decides a device's next presence stands in this file.
Rule 2: this file does not know what time it is, who is watching, or what the user's other
        devices do. When a signal is given is the business of `machine.py` and `timers.py`.
Rule 3: a pair that is absent from the table changes nothing.

The row `None` is a device that is not there; to become `None` is to be dropped. The row OFFLINE
is a device that said "offline" by PUT and goes on polling: it stays hidden until its polls say
something else, or begin anew. A sync never takes a device out of BUSY; a PUT does.
"""

from enum import Enum
from typing import Final, TypeAlias

from lamplighter.presence.state import Presence

__all__ = ["DEVICE_TRANSITIONS", "Named", "Signal", "next_presence"]


class Signal(Enum):
    """What a device can be told."""

    #: The `set_presence` of the polls in flight has changed, or begins anew.
    SET_PRESENCE = "set_presence"
    #: The status is set.
    PUTS = "puts"
    #: The person did something.
    ACTS = "acts"
    #: `idle_timeout` has passed since the person last did something.
    IDLES = "idles"
    #: The grace since the last poll has passed.
    LAPSES = "lapses"
    #: Logged out or deleted.
    LEAVES = "leaves"


class Named(Enum):
    """Stands in the table for the presence that the signal itself names."""

    PRESENCE = "the presence it names"


_OFFLINE: Final = Presence.OFFLINE
_UNAVAILABLE: Final = Presence.UNAVAILABLE
_ONLINE: Final = Presence.ONLINE
_BUSY: Final = Presence.BUSY
_NAMED: Final = Named.PRESENCE

Table: TypeAlias = dict[Presence | None, dict[Signal, Presence | Named | None]]

# fmt: off
DEVICE_TRANSITIONS: Final[Table] = {
    None:         {Signal.SET_PRESENCE: _NAMED, Signal.PUTS: _NAMED},
    _OFFLINE:     {Signal.SET_PRESENCE: _NAMED, Signal.PUTS: _NAMED,
                   Signal.LAPSES: None, Signal.LEAVES: None},
    _UNAVAILABLE: {Signal.SET_PRESENCE: _NAMED, Signal.PUTS: _NAMED, Signal.ACTS: _ONLINE,
                   Signal.LAPSES: None, Signal.LEAVES: None},
    _ONLINE:      {Signal.SET_PRESENCE: _NAMED, Signal.PUTS: _NAMED, Signal.IDLES: _UNAVAILABLE,
                   Signal.LAPSES: None, Signal.LEAVES: None},
    _BUSY:        {Signal.PUTS: _NAMED, Signal.LAPSES: None, Signal.LEAVES: None},
}
# fmt: on


def next_presence(
    current: Presence | None, signal: Signal, named: Presence | None = None
) -> Presence | None:
    """Return what a device in *current* becomes by *signal*, which may name a presence."""
    entry = DEVICE_TRANSITIONS[current].get(signal, current)
    return named if isinstance(entry, Named) else entry

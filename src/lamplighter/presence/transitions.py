"""The transition table: what a signal makes of a device's presence.

Rule 1: everything that decides a device's next presence is in this file.
Rule 2: this file knows neither the time, nor the viewers, nor the user's other devices.
        `machine.py` and `timers.py` decide when a signal is given.
Rule 3: a signal that is missing from a row changes nothing.

The row `None` is a device that does not exist; a transition to `None` removes the device. The row
OFFLINE is a device whose user sent a PUT of "offline" while its client goes on polling: the device
stays offline until its polls say something new. A PUT takes a device out of BUSY; a sync does not.
"""

from enum import Enum, StrEnum
from typing import Final, TypeAlias

from lamplighter.presence.state import Presence

__all__ = ["DEVICE_TRANSITIONS", "Requested", "Signal", "next_presence"]


class Signal(StrEnum):
    """What can happen to a device."""

    #: The polls in flight say a new `set_presence`.
    SET_PRESENCE = "set_presence"
    #: The client sends a PUT of the status.
    PUTS = "puts"
    #: The user does something on the device.
    ACTS = "acts"
    #: The user has done nothing on the device for `idle_timeout`.
    IDLES = "idles"
    #: The grace since the last poll is over.
    LAPSES = "lapses"
    #: The device is logged out or deleted.
    LEAVES = "leaves"


class Requested(Enum):
    """Stands in the table for the presence that comes with the signal."""

    PRESENCE = "the presence it names"


_OFFLINE: Final = Presence.OFFLINE
_AWAY: Final = Presence.UNAVAILABLE
_ONLINE: Final = Presence.ONLINE
_BUSY: Final = Presence.BUSY
_ANY: Final = Requested.PRESENCE

Table: TypeAlias = dict[Presence | None, dict[Signal, Presence | Requested | None]]

# fmt: off
DEVICE_TRANSITIONS: Final[Table] = {
    None:     {Signal.SET_PRESENCE: _ANY, Signal.PUTS: _ANY},
    _OFFLINE: {Signal.SET_PRESENCE: _ANY, Signal.PUTS: _ANY,
               Signal.LAPSES: None, Signal.LEAVES: None},
    _AWAY:    {Signal.SET_PRESENCE: _ANY, Signal.PUTS: _ANY, Signal.ACTS: _ONLINE,
               Signal.LAPSES: None, Signal.LEAVES: None},
    _ONLINE:  {Signal.SET_PRESENCE: _ANY, Signal.PUTS: _ANY, Signal.IDLES: _AWAY,
               Signal.LAPSES: None, Signal.LEAVES: None},
    _BUSY:    {Signal.PUTS: _ANY, Signal.LAPSES: None, Signal.LEAVES: None},
}
# fmt: on


def next_presence(
    current: Presence | None, signal: Signal, requested: Presence | None = None
) -> Presence | None:
    """Return the presence of a device after *signal*, which may come with a presence."""
    entry = DEVICE_TRANSITIONS[current].get(signal, current)
    return requested if isinstance(entry, Requested) else entry

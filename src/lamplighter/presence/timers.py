"""What time does to presence: every duration, and all arithmetic with durations.

Each rule is one function. It returns the instant at which time alone changes something, or None if
there is no such instant. The machine compares the instant with `now`, and the tracker sleeps until
the earliest instant, so that no time-out is computed in two places.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after, milliseconds
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = [
    "Timers",
    "begins_anew_at",
    "earliest",
    "idles_at",
    "inactive_at",
    "lapses_at",
    "pings_at",
    "silent_at",
]

#: After this long without a poll, the next poll of a device says something new.
_BEGINS_ANEW_AFTER: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Timers:
    """The durations that the operator can set."""

    #: A user is `currently_active` for this long after an activity. An activity that is later by
    #: less is not announced.
    last_active_granularity: timedelta = timedelta(seconds=60)
    #: The grace: a device is dropped this long after the end of its last poll.
    sync_online_timeout: timedelta = timedelta(seconds=30)
    #: An online device becomes unavailable this long after its last activity.
    idle_timeout: timedelta = timedelta(minutes=5)
    #: The grace of a busy device.
    busy_timeout: timedelta = timedelta(minutes=60)
    #: The server repeats an unchanged state to other servers once in this period.
    federation_ping: timedelta = timedelta(minutes=25)
    #: A remote user is offline if the user's server sends nothing for this long.
    federation_timeout: timedelta = timedelta(minutes=30)


def earliest(instants: Iterable[Timestamp | None]) -> Timestamp | None:
    """Return the first of *instants*; None where there is none."""
    return min([instant for instant in instants if instant is not None], default=None)


def idles_at(device: Device, timers: Timers) -> Timestamp | None:
    """Return when *device* becomes unavailable because its user does nothing."""
    if device.presence is not Presence.ONLINE:
        return None
    return after(device.last_active_ts, timers.idle_timeout)


def lapses_at(device: Device, timers: Timers) -> Timestamp | None:
    """Return when *device* is dropped; None while a poll is in flight."""
    if device.is_polling:
        return None
    busy = device.presence is Presence.BUSY
    grace = timers.busy_timeout if busy else timers.sync_online_timeout
    return after(max(device.last_sync_ts, device.last_active_ts), grace)


def begins_anew_at(device: Device) -> Timestamp | None:
    """Return from when on the next poll of *device* says something new, whatever it says.

    None while a poll is in flight; and after a restart, because the server caused that pause.
    """
    if device.is_polling or device.device_id == RESTORED:
        return None
    return after(device.last_sync_ts, _BEGINS_ANEW_AFTER)


def inactive_at(state: UserPresenceState, timers: Timers) -> Timestamp | None:
    """Return when an online user stops being `currently_active`."""
    if state.state != Presence.ONLINE:
        return None
    return after(Timestamp(state.last_active_ts), timers.last_active_granularity)


def pings_at(state: UserPresenceState, timers: Timers) -> Timestamp | None:
    """Return when the server repeats the state of a local user to other servers.

    A hash of the user ID gives each user a place in the period, so that the server does not repeat
    the states of a thousand users in the same second. None for offline users.
    """
    if state.state == Presence.OFFLINE:
        return None
    period = milliseconds(timers.federation_ping)
    place = zlib.crc32(state.user_id.encode()) % period
    told = state.last_federation_update_ts
    return Timestamp(told + period - (told - place) % period)


def silent_at(state: UserPresenceState, timers: Timers) -> Timestamp | None:
    """Return when a remote user goes offline because the user's server has sent nothing."""
    if state.state == Presence.OFFLINE:
        return None
    return after(Timestamp(state.last_federation_update_ts), timers.federation_timeout)

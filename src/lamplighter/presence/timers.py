"""What time does to presence: every duration, and the only arithmetic with them.

Each rule is one function that names the instant at which time alone changes something, or None.
The machine compares that instant with `now`; the tracker sleeps until the earliest of them.
So no timeout is computed in two places.
"""

import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lamplighter.clock import Timestamp, after, milliseconds
from lamplighter.presence.device import RESTORED, Device
from lamplighter.presence.state import Presence, UserPresenceState

__all__ = [
    "Timers",
    "begins_anew_at",
    "goes_quiet_at",
    "idles_at",
    "lapses_at",
    "pings_at",
    "silent_at",
]

#: What the polls of a device say counts as a change again once it had none for so long.
_BEGINS_ANEW_AFTER: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Timers:
    """The durations that rule presence."""

    #: `currently_active` holds this long after an activity; smaller advances are not announced.
    last_active_granularity: timedelta = timedelta(seconds=60)
    #: The grace, from the end of a device's last poll, before it is dropped.
    sync_online_timeout: timedelta = timedelta(seconds=30)
    #: An online device becomes unavailable this long after its last activity.
    idle_timeout: timedelta = timedelta(minutes=5)
    #: The grace of a busy device.
    busy_timeout: timedelta = timedelta(minutes=60)
    #: Other servers are told of an unchanged user once in this period.
    federation_ping: timedelta = timedelta(minutes=25)
    #: A remote user whose server is silent this long is offline.
    federation_timeout: timedelta = timedelta(minutes=30)


def idles_at(device: Device, timers: Timers) -> Timestamp | None:
    """Return when *device* becomes unavailable for want of activity."""
    if device.presence is not Presence.ONLINE:
        return None
    return after(device.last_active_ts, timers.idle_timeout)


def lapses_at(device: Device, timers: Timers) -> Timestamp | None:
    """Return when *device* is dropped; never while a poll is in flight."""
    if device.is_polling:
        return None
    busy = device.presence is Presence.BUSY
    grace = timers.busy_timeout if busy else timers.sync_online_timeout
    return after(max(device.last_sync_ts, device.last_active_ts), grace)


def begins_anew_at(device: Device) -> Timestamp | None:
    """Return from when on the next poll of *device* begins anew; None while one is in flight.

    After a restart none does: that there was no poll was the server's doing.
    """
    if device.is_polling or device.device_id == RESTORED:
        return None
    return after(device.last_sync_ts, _BEGINS_ANEW_AFTER)


def goes_quiet_at(state: UserPresenceState, timers: Timers) -> Timestamp | None:
    """Return when an online user stops being `currently_active`."""
    if state.state != Presence.ONLINE:
        return None
    return after(Timestamp(state.last_active_ts), timers.last_active_granularity)


def pings_at(state: UserPresenceState, timers: Timers) -> Timestamp | None:
    """Return when other servers are reminded of a local user who is not offline.

    Every user has an own place in the period, by a hash of the user ID, so that a thousand
    users who came online together are not all reminded of in the same second.
    """
    if state.state == Presence.OFFLINE:
        return None
    period = milliseconds(timers.federation_ping)
    place = zlib.crc32(state.user_id.encode()) % period
    told = state.last_federation_update_ts
    return Timestamp(told + period - (told - place) % period)


def silent_at(state: UserPresenceState, timers: Timers) -> Timestamp | None:
    """Return when a remote user who is not offline counts as silent."""
    if state.state == Presence.OFFLINE:
        return None
    return after(Timestamp(state.last_federation_update_ts), timers.federation_timeout)

"""One device of a local user, as far as presence goes."""

from typing import Final

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId
from lamplighter.presence.state import Presence

__all__ = ["RESTORED", "Device", "Devices"]

#: After a restart a user's devices are not known, only the presence they gave. It is kept under
#: this ID until the first device speaks and takes it over, or the grace is over.
RESTORED: Final = DeviceId("")


class Device(msgspec.Struct, frozen=True):
    """What one device contributes to its user's presence."""

    device_id: DeviceId
    presence: Presence
    #: When the person last did something on it.
    last_active_ts: Timestamp
    #: When its last poll began or ended.
    last_sync_ts: Timestamp = Timestamp(0)
    #: What its polls say, or last said: the highest `set_presence` of those in flight.
    set_presence: Presence | None = None
    #: Whether a poll is in flight.
    is_polling: bool = False
    #: Whether it is unavailable because the person did nothing, and not because it was set so.
    is_idle: bool = False


Devices = tuple[Device, ...]

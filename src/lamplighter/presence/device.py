"""One device of a local user, as far as presence is concerned."""

from typing import Final

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId
from lamplighter.presence.state import Presence

__all__ = ["RESTORED", "Device", "Devices"]

#: The server stores a user's presence, and not the devices. After a restart, a device with this ID
#: stands for all of them until the first device polls or acts, or the grace is over.
RESTORED: Final = DeviceId("")


class Device(msgspec.Struct, frozen=True):
    """What one device contributes to its user's presence."""

    device_id: DeviceId
    presence: Presence
    #: When the user last did something on the device.
    last_active_ts: Timestamp
    #: When the last poll began or ended.
    last_sync_ts: Timestamp = Timestamp(0)
    #: The highest `set_presence` of the polls in flight, or of the last ones.
    set_presence: Presence | None = None
    #: Whether a poll is in flight.
    is_polling: bool = False
    #: Whether the device is unavailable because of `idle_timeout`, and not because of a request.
    is_idle: bool = False


Devices = tuple[Device, ...]

"""Everything that can happen to a user's presence, apart from the passing of time.

An event is plain data: in a cluster it goes to the node that owns the user.
"""

from datetime import timedelta

import msgspec

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId, UserId
from lamplighter.presence.state import Presence

__all__ = [
    "AccountDeactivated",
    "Activity",
    "DeviceEvent",
    "DeviceGone",
    "Event",
    "RemoteUpdate",
    "SetByModule",
    "StatusSet",
    "SyncEnded",
    "Syncing",
]


class Syncing(msgspec.Struct, frozen=True, tag=True):
    """A device polls.

    The event is sent when the first poll of the device begins, when the highest `set_presence` of
    its polls changes, and when one of the polls is a first sync or counts as activity. Polls with
    `set_presence=offline` are left out.
    """

    user_id: UserId
    device_id: DeviceId
    #: The highest `set_presence` of the polls in flight; a poll without one says `online`.
    set_presence: Presence = Presence.ONLINE
    #: Whether the poll is a first sync (it has no since token): its `set_presence` is new then.
    is_first: bool = False
    #: Whether the poll counts as activity of the user (`presence.sync_is_activity`).
    is_activity: bool = False


class SyncEnded(msgspec.Struct, frozen=True, tag=True):
    """The last poll of a device was answered, or its client disconnected."""

    user_id: UserId
    device_id: DeviceId
    #: When the poll ended; None is now. The event comes late, in case another poll follows.
    ended_ts: Timestamp | None = None


class StatusSet(msgspec.Struct, frozen=True, tag=True):
    """`PUT /presence/{userId}/status`; a `status_msg` of None clears the message."""

    user_id: UserId
    device_id: DeviceId
    presence: Presence
    status_msg: str | None = None


class Activity(msgspec.Struct, frozen=True, tag=True):
    """The user did something: typed, read, or sent an event."""

    user_id: UserId
    device_id: DeviceId


class DeviceGone(msgspec.Struct, frozen=True, tag=True):
    """The device was logged out or deleted; it gets no grace."""

    user_id: UserId
    device_id: DeviceId


class AccountDeactivated(msgspec.Struct, frozen=True, tag=True):
    """The account was deactivated: all devices and the status message are removed."""

    user_id: UserId


class RemoteUpdate(msgspec.Struct, frozen=True, tag=True):
    """Another server sent the presence of its user."""

    user_id: UserId
    presence: Presence
    status_msg: str | None = None
    #: How long ago the user was active; None if the server does not say.
    last_active_ago: timedelta | None = None
    currently_active: bool = False


class SetByModule(msgspec.Struct, frozen=True, tag=True):
    """A module sets a user's state; the devices do not change."""

    user_id: UserId
    presence: Presence
    status_msg: str | None = None


DeviceEvent = Syncing | SyncEnded | StatusSet | Activity | DeviceGone
Event = DeviceEvent | AccountDeactivated | RemoteUpdate | SetByModule

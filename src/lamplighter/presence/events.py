"""Everything that can happen to somebody's presence, apart from time passing."""

from dataclasses import dataclass
from datetime import timedelta

from lamplighter.clock import Timestamp
from lamplighter.ids import DeviceId, UserId
from lamplighter.presence.state import Presence

__all__ = [
    "Activity",
    "DeviceEvent",
    "DeviceGone",
    "Event",
    "RemoteUpdate",
    "SetByModule",
    "StatusSet",
    "SyncEnded",
    "Syncing",
    "UserDeactivated",
]


@dataclass(frozen=True, slots=True)
class Syncing:
    """Polls of a device are in flight, and together say this.

    It is told when the first of them begins, when they come to say something else, and when one
    of them is a first sync or activity. Polls with `set_presence=offline` say nothing: they are
    not counted.
    """

    user_id: UserId
    device_id: DeviceId
    #: The highest of what the polls say; one whose query does not say it says `online`.
    set_presence: Presence = Presence.ONLINE
    #: Whether a first sync (one without a since token) says this: then it counts as a change.
    is_first: bool = False
    #: Whether a poll has begun that is something the person did (`presence.sync_is_activity`).
    is_activity: bool = False


@dataclass(frozen=True, slots=True)
class SyncEnded:
    """The last poll of a device is answered, or its client went away."""

    user_id: UserId
    device_id: DeviceId
    #: When that was; None is now. It may be told late, so that a poll that follows is one with it.
    ended_ts: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class StatusSet:
    """`PUT /presence/{userId}/status`: None as the message clears it."""

    user_id: UserId
    device_id: DeviceId
    presence: Presence
    status_msg: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """The person did something: typed, read, or sent an event."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """The device logged out or was deleted; it does not linger."""

    user_id: UserId
    device_id: DeviceId


@dataclass(frozen=True, slots=True)
class UserDeactivated:
    """The account is gone: all its devices go, and its status message with them."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class RemoteUpdate:
    """Another server says how its user is."""

    user_id: UserId
    presence: Presence
    status_msg: str | None = None
    #: How long ago the user was active; None where the server does not say.
    last_active_ago: timedelta | None = None
    currently_active: bool = False


@dataclass(frozen=True, slots=True)
class SetByModule:
    """A module says how a user is; the devices are not touched."""

    user_id: UserId
    presence: Presence
    status_msg: str | None = None


DeviceEvent = Syncing | SyncEnded | StatusSet | Activity | DeviceGone
Event = DeviceEvent | UserDeactivated | RemoteUpdate | SetByModule

"""The answers of the admin API about users, modules and servers.

The name of an instant ends in `_ts`; it is in milliseconds since the epoch. Durations are in
seconds. Where a field has another name than in the object that it comes from, `field(name=…)` has
the name in JSON.
"""

import msgspec

from lamplighter.federation.sender import DestinationStatus
from lamplighter.presence.state import UserPresenceState

__all__ = [
    "DestinationPage",
    "DeviceContent",
    "Done",
    "FailureContent",
    "ModuleContent",
    "ModuleList",
    "NewPassword",
    "PresenceContent",
    "PresencePage",
    "ReloadContent",
    "RoomContent",
    "ServerContent",
    "ShadowContent",
    "ShadowList",
    "UserContent",
    "UserDetails",
    "UserPage",
    "UserPresence",
]


class NewPassword(msgspec.Struct, frozen=True):
    """A new password for an account."""

    password: str
    #: Whether all devices are logged out.
    logout_devices: bool = True


class Done(msgspec.Struct, frozen=True):
    """The operation was done."""


class PresenceContent(msgspec.Struct, frozen=True):
    """A user's presence."""

    state: str = msgspec.field(name="presence")
    status_msg: str | None
    last_active_ts: int
    currently_active: bool

    @classmethod
    def of(cls, state: UserPresenceState) -> "PresenceContent":
        """Return *state* as an answer."""
        return cls(str(state.state), state.status_msg, state.last_active_ts, state.currently_active)


class UserPresence(msgspec.Struct, frozen=True):
    """A user, with presence."""

    user_id: str
    presence: PresenceContent


class PresencePage(msgspec.Struct, frozen=True):
    """A page of the users who are not offline."""

    users: list[UserPresence]
    #: The number of users in all pages.
    total: int
    next_batch: str | None


class UserContent(msgspec.Struct, frozen=True):
    """An account."""

    user_id: str
    created_ts: int
    is_admin: bool
    is_deactivated: bool
    presence: PresenceContent


class UserPage(msgspec.Struct, frozen=True):
    """A page of the accounts."""

    users: list[UserContent]
    next_batch: str | None


class RoomContent(msgspec.Struct, frozen=True):
    """A room. Its name is null if it has none."""

    room_id: str
    name: str | None


class DeviceContent(msgspec.Struct, frozen=True):
    """A device. Its presence is null while it has none."""

    device_id: str
    display_name: str | None
    last_seen_ts: int | None
    presence: str | None
    last_active_ts: int | None
    #: The number of its polls that wait.
    polls: int


class UserDetails(UserContent, frozen=True):
    """An account, with its devices and rooms."""

    displayname: str | None
    devices: list[DeviceContent]
    rooms: list[RoomContent]


class FailureContent(msgspec.Struct, frozen=True):
    """A lost answer of a module."""

    callback: str
    kind: str
    problem: str
    at: int = msgspec.field(name="at_ts")


class ModuleContent(msgspec.Struct, frozen=True):
    """A module, and its condition since the start."""

    name: str
    calls: int
    failures: int
    last_failure: FailureContent | None
    #: The time within which half of its recent answers came; null before the first answer.
    median_seconds: float | None
    #: The time within which 95 % of its recent answers came.
    p95_seconds: float | None
    #: Whether the server does not ask the module for a while after failures.
    paused: bool
    paused_until_ts: int | None


class ModuleList(msgspec.Struct, frozen=True):
    """The modules, in the order of the configuration."""

    modules: list[ModuleContent]


class ReloadContent(msgspec.Struct, frozen=True):
    """The result of a reload of the modules."""

    #: The modules that run now.
    modules: list[str]
    #: Why the new modules were not used; null if they were.
    problem: str | None
    #: The changed keys of the configuration that need a restart.
    needs_restart: list[str]


class ShadowContent(msgspec.Struct, frozen=True):
    """What a viewer would see differently of a user if a shadow module's answers counted."""

    module: str
    #: `gains_sight` or `sees_altered`.
    kind: str
    viewer: str
    user_id: str = msgspec.field(name="subject")
    at: int = msgspec.field(name="at_ts")
    #: The state that the viewer sees; null if the viewer sees nothing.
    shown: PresenceContent | None
    would_be_shown: PresenceContent


class ShadowList(msgspec.Struct, frozen=True):
    """The shadow modules, and the newest differences that they would make."""

    modules: list[ModuleContent]
    differences: list[ShadowContent]


class DestinationPage(msgspec.Struct, frozen=True):
    """A page of the destinations."""

    destinations: list[DestinationStatus]
    #: The number of destinations in all pages.
    total: int
    next_batch: str | None


class ServerContent(msgspec.Struct, frozen=True):
    """The settings and the present figures of the server."""

    server_name: str
    version: str
    #: The name of this node of a cluster; null where the server is alone.
    node: str | None
    started_ts: int
    now_ts: int
    #: `true`, `false` or `untracked`, as the configuration has it.
    presence_enabled: str
    federation_enabled: bool
    #: What is wrong between this server and the homeserver behind it; null if all is well.
    homeserver_problem: str | None
    #: Whether the database can be written.
    can_store: bool
    #: Whether users who share a room see each other.
    shared_rooms: bool
    modules: list[str]
    #: The number of known users with each presence.
    users: dict[str, int]
    #: The number of viewers who have an outbox.
    outboxes: int
    polls: int
    delivered: int
    syncs: int
    cpu_seconds: float
    position: str

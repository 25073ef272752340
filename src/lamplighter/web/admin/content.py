"""What the admin API answers about users, modules and servers: its types, in the words of JSON.

Instants end in `_ts` and are milliseconds since the epoch; durations are in seconds.
"""

import msgspec

from lamplighter.presence.state import UserPresenceState

__all__ = [
    "DestinationContent",
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
    "presence_content",
]


class NewPassword(msgspec.Struct, frozen=True):
    """What an account is given in place of its password."""

    password: str
    #: Whether all devices are logged out.
    logout_devices: bool = True


class Done(msgspec.Struct, frozen=True):
    """It was done."""


class PresenceContent(msgspec.Struct, frozen=True):
    """How somebody is."""

    presence: str
    status_msg: str | None
    last_active_ts: int
    currently_active: bool


def presence_content(state: UserPresenceState) -> PresenceContent:
    """Return *state* as it is answered."""
    return PresenceContent(
        str(state.state), state.status_msg, state.last_active_ts, state.currently_active
    )


class UserPresence(msgspec.Struct, frozen=True):
    """Somebody, and how they are."""

    user_id: str
    presence: PresenceContent


class PresencePage(msgspec.Struct, frozen=True):
    """A part of the people who are not offline."""

    users: list[UserPresence]
    #: How many there are in all parts.
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
    """A part of the accounts."""

    users: list[UserContent]
    next_batch: str | None


class RoomContent(msgspec.Struct, frozen=True):
    """A room; its name is null where it has none."""

    room_id: str
    name: str | None


class DeviceContent(msgspec.Struct, frozen=True):
    """A device; its presence is null while it has none."""

    device_id: str
    display_name: str | None
    last_seen_ts: int | None
    presence: str | None
    last_active_ts: int | None
    #: How many of its polls wait.
    polls: int


class UserDetails(msgspec.Struct, frozen=True):
    """An account, and all that belongs to it."""

    user_id: str
    created_ts: int
    is_admin: bool
    is_deactivated: bool
    displayname: str | None
    presence: PresenceContent
    devices: list[DeviceContent]
    rooms: list[RoomContent]


class FailureContent(msgspec.Struct, frozen=True):
    """An answer of a module that was lost."""

    callback: str
    kind: str
    problem: str
    at_ts: int


class ModuleContent(msgspec.Struct, frozen=True):
    """A module that decides who sees whom, and how it has been doing since the start."""

    name: str
    calls: int
    failures: int
    last_failure: FailureContent | None
    #: Within this time came half of its recent answers; null before the first.
    median_seconds: float | None
    #: And 95 in a hundred of them.
    p95_seconds: float | None
    #: Whether it is left alone for a while after failures.
    paused: bool
    paused_until_ts: int | None


class ModuleList(msgspec.Struct, frozen=True):
    """The modules, in the order of the configuration."""

    modules: list[ModuleContent]


class ReloadContent(msgspec.Struct, frozen=True):
    """What came of a reload of the modules."""

    #: Those that run now.
    modules: list[str]
    #: Why the others were not taken; null if they were.
    problem: str | None
    #: The keys of the configuration that differ, and are taken in by a restart only.
    needs_restart: list[str]


class ShadowContent(msgspec.Struct, frozen=True):
    """What one viewer would see otherwise of one user, if a module in the shadow counted."""

    module: str
    #: `gains_sight` or `sees_altered`.
    kind: str
    viewer: str
    subject: str
    at_ts: int
    #: What is shown; null is nothing.
    shown: PresenceContent | None
    would_be_shown: PresenceContent


class ShadowList(msgspec.Struct, frozen=True):
    """The modules in the shadow, and the newest of what they would change."""

    modules: list[ModuleContent]
    differences: list[ShadowContent]


class DestinationContent(msgspec.Struct, frozen=True):
    """Another server that is to be told something, or did not answer the last time."""

    server_name: str
    #: How many states wait to be sent there.
    queued: int
    is_busy: bool
    #: How often in a row it has failed.
    failures: int
    #: Until when it is left alone; null while it answers.
    retry_ts: int | None


class DestinationPage(msgspec.Struct, frozen=True):
    """A part of these servers."""

    destinations: list[DestinationContent]
    #: How many there are in all parts.
    total: int
    next_batch: str | None


class ServerContent(msgspec.Struct, frozen=True):
    """The server as a whole, at this moment."""

    server_name: str
    version: str
    started_ts: int
    now_ts: int
    #: `true`, `false` or `untracked`, as the configuration has it.
    presence_enabled: str
    federation_enabled: bool
    #: Whether shared rooms give sight.
    shared_rooms: bool
    modules: list[str]
    #: By presence, how many of the users who were ever heard of.
    users: dict[str, int]
    #: Viewers who are told of changes as they happen.
    outboxes: int
    polls: int
    delivered: int
    syncs: int
    cpu_seconds: float
    position: str

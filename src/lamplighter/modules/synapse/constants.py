"""The specification's constants, by the names of `synapse.api.constants`."""

from typing import Final

from lamplighter.presence.state import Presence

__all__ = [
    "AccountDataTypes",
    "EduTypes",
    "EventTypes",
    "JoinRules",
    "Membership",
    "PresenceRouter",
    "PresenceState",
]


class PresenceState:
    """How available a user is."""

    OFFLINE: Final = Presence.OFFLINE.value
    UNAVAILABLE: Final = Presence.UNAVAILABLE.value
    ONLINE: Final = Presence.ONLINE.value
    BUSY: Final = Presence.BUSY.value


class Membership:
    """The memberships of a user in a room."""

    INVITE: Final = "invite"
    JOIN: Final = "join"
    KNOCK: Final = "knock"
    LEAVE: Final = "leave"
    BAN: Final = "ban"
    LIST: Final = frozenset({INVITE, JOIN, KNOCK, LEAVE, BAN})


class EventTypes:
    """Types of state events that a presence rule may read, and of messages."""

    Member: Final = "m.room.member"
    Create: Final = "m.room.create"
    JoinRules: Final = "m.room.join_rules"
    PowerLevels: Final = "m.room.power_levels"
    CanonicalAlias: Final = "m.room.canonical_alias"
    Name: Final = "m.room.name"
    Topic: Final = "m.room.topic"
    RoomAvatar: Final = "m.room.avatar"
    RoomHistoryVisibility: Final = "m.room.history_visibility"
    SpaceChild: Final = "m.space.child"
    SpaceParent: Final = "m.space.parent"
    Message: Final = "m.room.message"
    Encrypted: Final = "m.room.encrypted"


class EduTypes:
    """Types of ephemeral events."""

    PRESENCE: Final = "m.presence"
    TYPING: Final = "m.typing"
    RECEIPT: Final = "m.receipt"


class JoinRules:
    """Who may join a room."""

    PUBLIC: Final = "public"
    KNOCK: Final = "knock"
    INVITE: Final = "invite"
    PRIVATE: Final = "private"
    RESTRICTED: Final = "restricted"


class AccountDataTypes:
    """Types of account data that a presence rule may read."""

    DIRECT: Final = "m.direct"
    IGNORED_USER_LIST: Final = "m.ignored_user_list"


class PresenceRouter:
    """Older modules take `ALL_USERS` from here (`synapse.events.presence_router`)."""

    ALL_USERS: Final = "ALL"

"""The specification's words, as modules spell them (`synapse.api.constants`)."""

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
    """How available somebody is."""

    OFFLINE: Final = Presence.OFFLINE.value
    UNAVAILABLE: Final = Presence.UNAVAILABLE.value
    ONLINE: Final = Presence.ONLINE.value
    BUSY: Final = Presence.BUSY.value


class Membership:
    """How a user stands to a room."""

    INVITE: Final = "invite"
    JOIN: Final = "join"
    KNOCK: Final = "knock"
    LEAVE: Final = "leave"
    BAN: Final = "ban"
    LIST: Final = frozenset({INVITE, JOIN, KNOCK, LEAVE, BAN})


class EventTypes:
    """Types of the state events that a rule about presence may look at, and of messages."""

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
    """Types of account data that a rule about presence may look at."""

    DIRECT: Final = "m.direct"
    IGNORED_USER_LIST: Final = "m.ignored_user_list"


class PresenceRouter:
    """Where older modules find what means everybody (`synapse.events.presence_router`)."""

    ALL_USERS: Final = "ALL"

"""One user's presence at one moment, and how presences rank.

Implements the fields of `m.presence`
(<https://spec.matrix.org/latest/client-server-api/#mpresence>).
"""

from enum import StrEnum
from typing import Any, ClassVar, Final

import attrs
import msgspec

__all__ = ["PRESENCE_RANK", "Presence", "UserPresenceState"]


class Presence(StrEnum):
    """How available a user is. Members equal their string on the wire."""

    OFFLINE = "offline"
    UNAVAILABLE = "unavailable"
    ONLINE = "online"
    #: MSC3026; accepted only if `presence.busy` is on.
    BUSY = "org.matrix.msc3026.busy"


#: The highest presence of a user's devices is the user's.
PRESENCE_RANK: Final = {
    Presence.OFFLINE: 0,
    Presence.UNAVAILABLE: 1,
    Presence.ONLINE: 2,
    Presence.BUSY: 3,
}


class UserPresenceState(msgspec.Struct, frozen=True, order=True, weakref=True):
    """A user's presence at one moment: immutable, hashed and compared by all fields in order.

    The core and the module API both use this type. Timestamps are milliseconds since the epoch; 0
    means never. Modules can treat it as an attrs class, as they can Synapse's: `attrs.evolve`,
    `attrs.asdict` and `attrs.fields` accept it.
    """

    #: attrs recognises its classes by this attribute. attrs does not build the class, because its
    #: constructor takes six times as long, and the server creates states all the time.
    __attrs_attrs__: ClassVar[Any]

    user_id: str
    #: A `Presence`, or the string that equals one.
    state: str
    #: When the user last did something.
    last_active_ts: int
    #: When the server last sent the state to other servers; of a remote user, when it came.
    last_federation_update_ts: int
    #: When the user's last `/sync` began or ended.
    last_user_sync_ts: int
    status_msg: str | None
    #: Whether the user did something within `last_active_granularity`.
    currently_active: bool

    @classmethod
    def default(cls, user_id: str) -> "UserPresenceState":
        """Return the state of a user whom the server does not know: offline, never active."""
        return cls(user_id, Presence.OFFLINE, 0, 0, 0, None, False)

    def copy_and_replace(self, **fields: Any) -> "UserPresenceState":
        """Return a copy with other values for *fields*."""
        return msgspec.structs.replace(self, **fields)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a dict from name to value."""
        return msgspec.structs.asdict(self)


#: The fields as attrs describes those of a class that it has built.
UserPresenceState.__attrs_attrs__ = attrs.fields(
    attrs.make_class(
        UserPresenceState.__name__,
        {it.name: attrs.field(type=it.type) for it in msgspec.structs.fields(UserPresenceState)},
    )
)

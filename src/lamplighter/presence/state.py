"""What is known of one user's presence.

Implements the fields of `m.presence`
(<https://spec.matrix.org/latest/client-server-api/#mpresence>).
"""

from enum import StrEnum
from typing import Any, ClassVar, Final

import attrs
import msgspec

__all__ = ["PRESENCE_RANK", "Presence", "UserPresenceState"]


class Presence(StrEnum):
    """How available somebody is. Members equal their string on the wire."""

    OFFLINE = "offline"
    UNAVAILABLE = "unavailable"
    ONLINE = "online"
    #: MSC3026; accepted only where `presence.busy` is on.
    BUSY = "org.matrix.msc3026.busy"


#: Which presence wins where several devices differ: the highest.
PRESENCE_RANK: Final = {
    Presence.OFFLINE: 0,
    Presence.UNAVAILABLE: 1,
    Presence.ONLINE: 2,
    Presence.BUSY: 3,
}


class UserPresenceState(msgspec.Struct, frozen=True, order=True, weakref=True):
    """A user's presence at one moment: immutable, and hashable by all its fields.

    The one type for it, in the core as in the module API. Timestamps are milliseconds since
    the epoch; 0 means never. To modules it is an attrs class, as Synapse's is: `attrs.evolve`,
    `attrs.asdict`, `attrs.fields` and the like take it. It is compared by its fields, in order.
    """

    #: What makes it an attrs class. The class itself is not made by attrs, whose constructor takes
    #: six times as long: the server makes, hashes and compares states all the time.
    __attrs_attrs__: ClassVar[Any]

    user_id: str
    #: A `Presence`, or the string that equals one.
    state: str
    #: When the user last did something.
    last_active_ts: int
    #: When other servers were last told.
    last_federation_update_ts: int
    #: When the user's last `/sync` began or ended.
    last_user_sync_ts: int
    status_msg: str | None
    #: Whether the user did something within `last_active_granularity`.
    currently_active: bool

    @classmethod
    def default(cls, user_id: str) -> "UserPresenceState":
        """Return the presence of a user of whom nothing is known: offline, never seen."""
        return cls(user_id, Presence.OFFLINE, 0, 0, 0, None, False)

    def copy_and_replace(self, **fields: Any) -> "UserPresenceState":
        """Return a copy in which *fields* have the given values."""
        return msgspec.structs.replace(self, **fields)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by their names."""
        return msgspec.structs.asdict(self)


def _attributes() -> Any:
    """Return what attrs knows of a class that it has made with the same fields."""
    fields = msgspec.structs.fields(UserPresenceState)
    named = {field.name: attrs.field(type=field.type) for field in fields}
    return attrs.fields(attrs.make_class(UserPresenceState.__name__, named))


UserPresenceState.__attrs_attrs__ = _attributes()

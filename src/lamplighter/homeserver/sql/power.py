"""Power levels: who may do what in a room. Pure.

Implements `m.room.power_levels`
(<https://spec.matrix.org/latest/client-server-api/#mroompower_levels>) and the part of the
authorization rules of room version 10 that is about changing them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lamplighter.errors import BadJson, Forbidden
from lamplighter.ids import UserId
from lamplighter.ports import Json

__all__ = ["CREATOR_LEVEL", "PowerLevels", "check_change", "check_levels"]

CREATOR_LEVEL: Final = 100

_NUMBERS: Final = (
    "ban",
    "events_default",
    "invite",
    "kick",
    "redact",
    "state_default",
    "users_default",
)
_TABLES: Final = ("events", "users")


@dataclass(frozen=True, slots=True)
class PowerLevels:
    """The levels that users have and that actions need, with the specification's defaults."""

    users: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    users_default: int = 0
    events_default: int = 0
    state_default: int = 50
    invite: int = 0
    kick: int = 50
    ban: int = 50

    @classmethod
    def of(cls, content: Json | None, creator: UserId) -> "PowerLevels":
        """Return the levels of a room by its checked `m.room.power_levels`, or without one."""
        if content is None:
            return cls(users={creator: CREATOR_LEVEL}, state_default=0)
        return cls(**{name: content[name] for name in cls.__slots__ if name in content})

    def of_user(self, user_id: UserId) -> int:
        """Return a user's level."""
        return self.users.get(user_id, self.users_default)

    def to_send(self, event_type: str, *, is_state: bool) -> int:
        """Return the level that sending an event of this type needs."""
        return self.events.get(event_type, self.state_default if is_state else self.events_default)


def check_levels(content: Json) -> None:
    """Raise `BadJson` unless *content* may be that of an `m.room.power_levels` event."""
    for name in _NUMBERS:
        _check_number(name, content.get(name, 0))
    for name in _TABLES:
        table = content.get(name, {})
        if not isinstance(table, dict):
            raise BadJson(f"{name}: must be an object")
        for key, level in table.items():
            _check_number(f"{name}.{key}", level)


def check_change(old: Json, new: Json, sender: UserId) -> None:
    """Raise `Forbidden` if *sender* gives or takes more than they have."""
    level = PowerLevels.of(old, sender).of_user(sender)
    was, will = _flat(old), _flat(new)
    for key in was.keys() | will.keys():
        before, after = was.get(key), will.get(key)
        if before == after:
            continue
        if max(before or 0, after or 0) > level:
            raise Forbidden(f"{'.'.join(key)}: you cannot change a level above your own")
        if key[0] == "users" and key[1] != sender and before is not None and before >= level:
            raise Forbidden(f"{'.'.join(key)}: you cannot change the level of your equal")


def _flat(content: Json) -> dict[tuple[str, ...], int]:
    """Return all levels of *content*, each by its path."""
    flat: dict[tuple[str, ...], int] = {(n,): content[n] for n in _NUMBERS if n in content}
    for name in _TABLES:
        flat |= {(name, key): level for key, level in content.get(name, {}).items()}
    return flat


def _check_number(name: str, level: Any) -> None:
    if not isinstance(level, int) or isinstance(level, bool) or abs(level) >= 2**53:
        raise BadJson(f"{name}: must be an integer")

"""Power levels, and the rules by which a user may change a membership. Pure.

They are the part of the authorization rules (<https://spec.matrix.org/latest/rooms/v10/>) that
rooms with the join rules `public` and `invite` need, with `m.room.power_levels`
(<https://spec.matrix.org/latest/client-server-api/#mroompower_levels>).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lamplighter.errors import BadJson, Forbidden, InvalidParam
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import UserId
from lamplighter.ports import Json

__all__ = [
    "CREATOR_LEVEL",
    "JOIN_RULES",
    "CheckOfAnother",
    "PowerLevels",
    "check_ban",
    "check_change",
    "check_invite",
    "check_join",
    "check_join_rules",
    "check_kick",
    "check_leave",
    "check_levels",
    "check_unban",
]


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


JOIN_RULES: Final = ("public", "invite")

#: Takes a room's levels, the sender, and the other user with their membership.
CheckOfAnother: TypeAlias = Callable[[PowerLevels, UserId, UserId, MemberState | None], None]

_PRESENT: Final = (MemberState.JOIN, MemberState.INVITE)


def check_join(current: MemberState | None, join_rule: str) -> None:
    """Raise `Forbidden` unless a user of that membership may join the room."""
    if current is MemberState.BAN:
        raise Forbidden("You are banned from this room")
    if current not in _PRESENT and join_rule != "public":
        raise Forbidden("You are not invited to this room")


def check_leave(current: MemberState | None) -> None:
    """Raise `Forbidden` unless there is something to leave, or was."""
    if current is None or current is MemberState.BAN:
        raise Forbidden("You are not in this room")


def check_invite(
    levels: PowerLevels, sender: UserId, _target_id: UserId, target: MemberState | None
) -> None:
    """Raise `Forbidden` unless *sender*, who is joined, may invite a user of that membership."""
    if target is MemberState.BAN:
        raise Forbidden("This user is banned from the room")
    if target is MemberState.JOIN:
        raise Forbidden("This user is already in the room")
    if levels.of_user(sender) < levels.invite:
        raise Forbidden("You may not invite users to this room")


def check_kick(
    levels: PowerLevels, sender: UserId, target_id: UserId, target: MemberState | None
) -> None:
    """Raise `Forbidden` unless *sender*, who is joined, may make *target_id* leave."""
    if target not in _PRESENT:
        raise Forbidden("This user is not in the room")
    _check_power("kick", levels, levels.kick, sender, target_id)


def check_ban(
    levels: PowerLevels, sender: UserId, target_id: UserId, _target: MemberState | None
) -> None:
    """Raise `Forbidden` unless *sender*, who is joined, may ban *target_id*."""
    _check_power("ban", levels, levels.ban, sender, target_id)


def check_unban(
    levels: PowerLevels, sender: UserId, _target_id: UserId, target: MemberState | None
) -> None:
    """Raise `Forbidden` unless *sender*, who is joined, may lift the ban."""
    if target is not MemberState.BAN:
        raise Forbidden("This user is not banned")
    if levels.of_user(sender) < levels.ban:
        raise Forbidden("You may not unban users of this room")


def check_join_rules(content: Json) -> None:
    """Raise `BadJson` or `InvalidParam` for an `m.room.join_rules` that cannot be followed."""
    rule = content.get("join_rule")
    if not isinstance(rule, str):
        raise BadJson("join_rule: must be a string")
    if rule not in JOIN_RULES:
        raise InvalidParam(f"join_rule: {' and '.join(JOIN_RULES)} are supported here")


def _check_power(
    action: str, levels: PowerLevels, needed: int, sender: UserId, target_id: UserId
) -> None:
    own = levels.of_user(sender)
    if own < needed or own <= levels.of_user(target_id):
        raise Forbidden(f"You may not {action} this user")

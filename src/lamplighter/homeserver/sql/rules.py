"""The rules by which a user may change a membership. Pure.

They are the part of the authorization rules (<https://spec.matrix.org/latest/rooms/v10/>) that
rooms with the join rules `public` and `invite` need.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from lamplighter.errors import BadJson, Forbidden, InvalidParam
from lamplighter.homeserver.sql.power import PowerLevels
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import UserId
from lamplighter.ports import Json

__all__ = [
    "JOIN_RULES",
    "CheckOfAnother",
    "check_ban",
    "check_invite",
    "check_join",
    "check_join_rules",
    "check_kick",
    "check_leave",
    "check_unban",
]

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

"""Creating rooms, after the specification's presets
(<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3createroom>).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert

from lamplighter.database.tables import rooms
from lamplighter.errors import Forbidden, InvalidParam
from lamplighter.homeserver.sql.events import MEMBER, append
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.membership import RoomMemberships
from lamplighter.homeserver.sql.messages import check_state, check_state_content
from lamplighter.homeserver.sql.room_directory import RoomDirectory, publish
from lamplighter.homeserver.sql.rules import CREATOR_LEVEL, PowerLevels, check_change
from lamplighter.homeserver.values import MemberState, NewRoom
from lamplighter.ids import RoomId, ServerName, UserId
from lamplighter.ports import Json

__all__ = ["ROOM_VERSION", "RoomCreation"]

#: The room version in `m.room.create`. Rooms are not federated: it only tells clients the rules.
ROOM_VERSION: Final = "10"

_MAX_INVITES: Final = 100
_MAX_INITIAL_STATE: Final = 100
_JOIN_RULES: Final = {
    "private_chat": "invite",
    "trusted_private_chat": "invite",
    "public_chat": "public",
}
_GUESTS_CAN_JOIN: Final = ("private_chat", "trusted_private_chat")
#: The levels that a new room asks for beyond the specification's defaults.
_EVENT_LEVELS: Final = {
    "m.room.avatar": 50,
    "m.room.canonical_alias": 50,
    "m.room.encryption": 100,
    "m.room.history_visibility": 100,
    "m.room.name": 50,
    "m.room.power_levels": 100,
    "m.room.server_acl": 100,
    "m.room.tombstone": 100,
}

StateKey = tuple[str, str]

_LEVELS: Final = ("m.room.power_levels", "")


@dataclass(frozen=True, slots=True)
class RoomCreation:
    """Creates rooms."""

    ledger: Ledger
    server_name: ServerName
    memberships: RoomMemberships
    directory: RoomDirectory

    async def create_room(self, creator: UserId, room: NewRoom) -> RoomId:
        """Create a room with the creator in it; raise `RoomInUse` for a taken alias."""

        async def work(write: Write) -> None:
            await write.connection.execute(insert(rooms).values(room_id=room_id, last_position=0))
            create = {**room.creation_content, "creator": creator, "room_version": ROOM_VERSION}
            await append(write, room_id, "m.room.create", creator, create, "")
            await self.memberships.record(write, room_id, creator, creator, MemberState.JOIN, {})
            for (event_type, state_key), content in state.items():
                await append(write, room_id, event_type, creator, content, state_key)
            if room.alias is not None:
                await self.directory.add_alias(write, creator, room.alias, room_id)
            if room.visibility == "public":
                await publish(write, room_id, published=True)
            for target in invited:
                extra = {"is_direct": True} if room.is_direct else {}
                await self.memberships.add_invite(write, room_id, creator, target, extra)

        _check(room)
        room_id = RoomId(f"!{secrets.token_urlsafe(18)}:{self.server_name}")
        invited = [target for target in dict.fromkeys(room.invite) if target != creator]
        state = _first_state(creator, room)
        await self.ledger.write(work)
        return room_id


def _check(room: NewRoom) -> None:
    if room.preset not in _JOIN_RULES:
        raise InvalidParam(f"preset: one of {', '.join(_JOIN_RULES)} is needed")
    if len(room.invite) > _MAX_INVITES:
        raise InvalidParam(f"invite: at most {_MAX_INVITES} users can be invited at once")
    if len(room.initial_state) > _MAX_INITIAL_STATE:
        raise InvalidParam(f"initial_state: at most {_MAX_INITIAL_STATE} events are allowed")
    for place, event in enumerate(room.initial_state):
        if event.type in ("m.room.create", MEMBER):
            raise InvalidParam(f"initial_state[{place}].type: {event.type} cannot be set")


def _first_state(creator: UserId, room: NewRoom) -> dict[StateKey, Json]:
    """Return the state that follows the creator's join, in the order in which it is sent."""
    levels = _power_levels(creator, room)
    state: dict[StateKey, Json] = {_LEVELS: levels}
    if room.alias is not None:
        state["m.room.canonical_alias", ""] = {"alias": room.alias}
    state["m.room.join_rules", ""] = {"join_rule": _JOIN_RULES[room.preset]}
    state["m.room.history_visibility", ""] = {"history_visibility": "shared"}
    guests = "can_join" if room.preset in _GUESTS_CAN_JOIN else "forbidden"
    state["m.room.guest_access", ""] = {"guest_access": guests}
    wishes = {(event.type, event.state_key): event.content for event in room.initial_state}
    state |= wishes
    if room.name is not None:
        state["m.room.name", ""] = {"name": room.name}
    if room.topic is not None:
        state["m.room.topic", ""] = {"topic": room.topic}
    for (event_type, _), content in state.items():
        check_state_content(event_type, content)
    _check_wishes(creator, wishes, before=levels, after=state[_LEVELS])
    return state


def _check_wishes(
    creator: UserId, wishes: Mapping[StateKey, Json], *, before: Json, after: Json
) -> None:
    """Raise the error that setting these pieces of state in the finished room would raise.

    *before* and *after* are the power levels without the wishes and with them.
    """
    for (event_type, state_key), content in wishes.items():
        check_state(creator, event_type, state_key, content)
        is_levels = (event_type, state_key) == _LEVELS
        levels = PowerLevels.of(before if is_levels else after, creator)
        if levels.of_user(creator) < levels.to_send(event_type, is_state=True):
            raise Forbidden(f"initial_state: you may not send {event_type} to this room")
        if is_levels:
            check_change(before, content, creator)


def _power_levels(creator: UserId, room: NewRoom) -> Json:
    users = {creator: CREATOR_LEVEL}
    if room.preset == "trusted_private_chat":
        users |= dict.fromkeys(room.invite, CREATOR_LEVEL)
    levels: Json = {
        "ban": 50,
        "events": dict(_EVENT_LEVELS),
        "events_default": 0,
        "invite": 0,
        "kick": 50,
        "redact": 50,
        "state_default": 50,
        "users": users,
        "users_default": 0,
    }
    return levels | room.power_level_content_override

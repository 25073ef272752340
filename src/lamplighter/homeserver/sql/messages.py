"""Sending events to a room: messages, and pieces of its state."""

from typing import Final

from sqlalchemy import func, insert, select

from lamplighter.database.dialects import byte_length
from lamplighter.database.tables import current_state, devices, events, transactions
from lamplighter.errors import Forbidden, TooLarge, UnknownToken
from lamplighter.homeserver.sql import rules
from lamplighter.homeserver.sql.events import MEMBER, append, current_content
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import text_within
from lamplighter.homeserver.sql.membership import RoomMemberships
from lamplighter.homeserver.sql.state import check_joined, power_levels
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json, Requester

__all__ = ["Messages", "check_state", "check_state_content"]

#: Pieces of state in a room, memberships aside. Each member gets all of them.
_MAX_STATE: Final = 2_000
_MAX_STATE_BYTES: Final = 1024 * 1024


class Messages:
    """Adds users' events to rooms, if the rules allow it."""

    def __init__(self, ledger: Ledger, memberships: RoomMemberships) -> None:
        self._ledger = ledger
        self._memberships = memberships

    async def send_event(
        self, requester: Requester, room_id: RoomId, event_type: str, content: Json, txn_id: str
    ) -> str:
        """Append a message event; return its ID. The same transaction of a device sends once."""

        async def work(write: Write) -> str:
            await _check_device(write, requester)
            before = select(transactions.c.event_id).filter_by(**key)
            sent: str | None = (await write.connection.execute(before)).scalar_one_or_none()
            if sent is not None:
                return sent
            await _check_power(write, room_id, requester.user_id, event_type, is_state=False)
            event = await append(write, room_id, event_type, requester.user_id, content)
            row = key | {"event_id": event.event_id}
            await write.connection.execute(insert(transactions).values(row))
            write.news_for.add(requester.user_id)
            return event.event_id

        key = {"user_id": requester.user_id, "device_id": requester.device_id}
        key |= {"room_id": room_id, "type": text_within("type", event_type)}
        key["txn_id"] = text_within("transaction ID", txn_id)
        return await self._ledger.write(work)

    async def set_state(
        self, user_id: UserId, room_id: RoomId, event_type: str, state_key: str, content: Json
    ) -> str:
        """Set a piece of room state; return the event's ID."""

        async def work(write: Write) -> str:
            if event_type == MEMBER:
                change, target = self._memberships.set_by_event, UserId(state_key)
                return (await change(write, room_id, user_id, target, content)).event_id
            await _check_power(write, room_id, user_id, event_type, is_state=True)
            check_state(user_id, event_type, state_key, content)
            if event_type == "m.room.power_levels" and not state_key:
                old = await current_content(write.connection, room_id, event_type)
                if old is not None:
                    rules.check_change(old, content, user_id)
            event = await append(write, room_id, event_type, user_id, content, state_key)
            await _check_amount(write, room_id)
            return event.event_id

        return await self._ledger.write(work)


def check_state_content(event_type: str, content: Json) -> None:
    """Raise `BadJson` or `InvalidParam` for state by which the rules could not be applied."""
    if event_type == "m.room.join_rules":
        rules.check_join_rules(content)
    if event_type == "m.room.power_levels":
        rules.check_levels(content)


def check_state(sender: UserId, event_type: str, state_key: str, content: Json) -> None:
    """Raise `Forbidden` for state that nobody may set, and what `check_state_content` raises."""
    check_state_content(event_type, content)
    if event_type == "m.room.create":
        raise Forbidden("A room is created only once")
    if event_type == "m.room.encryption":
        # This server passes no keys on, so nobody else could read the room.
        raise Forbidden("End-to-end encryption is not here: leave it off for rooms of this server")
    if state_key.startswith("@") and state_key != sender:
        raise Forbidden("State under a user's ID is for that user to set")


async def _check_device(write: Write, requester: Requester) -> None:
    """Raise `UnknownToken` if the device has logged out while its request was under way."""
    query = select(devices.c.device_id).where(
        devices.c.user_id == requester.user_id, devices.c.device_id == requester.device_id
    )
    if (await write.connection.execute(query)).one_or_none() is None:
        raise UnknownToken("The device has logged out")


async def _check_power(
    write: Write, room_id: RoomId, user_id: UserId, event_type: str, *, is_state: bool
) -> None:
    await check_joined(write.connection, room_id, user_id)
    levels = await power_levels(write.connection, room_id)
    if levels.of_user(user_id) < levels.to_send(event_type, is_state=is_state):
        raise Forbidden(f"You may not send {event_type} to this room")


async def _check_amount(write: Write, room_id: RoomId) -> None:
    """Raise `TooLarge` if the room's state, memberships aside, has become too large."""
    query = (
        select(func.count(), func.coalesce(func.sum(byte_length(events.c.content)), 0))
        .select_from(current_state)
        .join(events, events.c.position == current_state.c.position)
        .where(current_state.c.room_id == room_id, current_state.c.type != MEMBER)
    )
    count, bytes_ = (await write.connection.execute(query)).one()
    if count > _MAX_STATE:
        raise TooLarge(f"state: the room has {_MAX_STATE} entries already")
    if bytes_ > _MAX_STATE_BYTES:
        raise TooLarge(f"state: {bytes_} bytes, where a room may have {_MAX_STATE_BYTES}")

"""Joining, leaving, inviting, kicking and banning."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.dialects import upsert
from lamplighter.database.tables import memberships
from lamplighter.errors import BadJson, Forbidden, NotFound, TooLarge, Untold
from lamplighter.homeserver.sql import rules
from lamplighter.homeserver.sql.events import MEMBER, StoredEvent, append, current_content
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import encode_json
from lamplighter.homeserver.sql.people import find_active, find_user
from lamplighter.homeserver.sql.state import (
    Standing,
    check_joined,
    find_standing,
    power_levels,
    room_exists,
)
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, ServerName, UserId, parse_user_id, server_of
from lamplighter.ports import Json, MembershipChange, Profile

__all__ = ["BAN", "KICK", "UNBAN", "Action", "RoomMemberships"]

_NO_EXTRA: Final[Mapping[str, Any]] = {}
#: Rooms to which one user may be joined.
_MAX_JOINED: Final = 2_000
#: Bytes of the content of a membership event: all members of a room get those of all.
_MAX_CONTENT: Final = 8 * 1024
#: Rooms in one transaction, where something is done in all rooms of a user: while it lasts,
#: nobody else can write.
_AT_A_TIME: Final = 20


#: What one user does to another: the rule that has to allow it, and the membership that it makes.
Action: TypeAlias = tuple[rules.CheckOfAnother, MemberState]
_INVITE: Final[Action] = (rules.check_invite, MemberState.INVITE)
#: Makes a member leave, or takes an invite back.
KICK: Final[Action] = (rules.check_kick, MemberState.LEAVE)
#: Makes a member leave, and keeps the user out until `UNBAN`.
BAN: Final[Action] = (rules.check_ban, MemberState.BAN)
UNBAN: Final[Action] = (rules.check_unban, MemberState.LEAVE)


class RoomMemberships:
    """Changes memberships. The methods that take a `Write` are part of a larger transaction."""

    def __init__(self, ledger: Ledger, server_name: ServerName) -> None:
        self._ledger = ledger
        self._server_name = server_name

    async def join(self, user_id: UserId, room_id: RoomId) -> None:
        """Join a public room, or one the user is invited to; harmless when already in."""

        async def work(write: Write) -> None:
            standing = await find_standing(write.connection, room_id, user_id)
            if standing is None or standing.membership is not MemberState.JOIN:
                await self.add_join(write, room_id, user_id)

        await self._ledger.write(work)

    async def leave(self, user_id: UserId, room_id: RoomId) -> None:
        """Leave the room, or reject its invite."""

        async def work(write: Write) -> None:
            standing = await find_standing(write.connection, room_id, user_id)
            if standing is None or standing.membership is not MemberState.LEAVE:
                await self.add_leave(write, room_id, user_id)

        await self._ledger.write(work)

    async def invite(self, user_id: UserId, room_id: RoomId, target: UserId) -> None:
        """Invite *target*; an invite makes no member."""

        async def work(write: Write) -> None:
            standing = await find_standing(write.connection, room_id, target)
            if standing is None or standing.membership is not MemberState.INVITE:
                await self.add_invite(write, room_id, user_id, target)
            else:
                await check_joined(write.connection, room_id, user_id)

        await self._ledger.write(work)

    async def act(
        self,
        action: Action,
        user_id: UserId,
        room_id: RoomId,
        target: UserId,
        reason: str | None = None,
    ) -> None:
        """Kick, ban or unban *target*."""
        extra = {} if reason is None else {"reason": reason}
        await self._ledger.write(lambda w: self._change(w, room_id, user_id, target, action, extra))

    async def set_by_event(
        self, write: Write, room_id: RoomId, sender: UserId, target: UserId, content: Json
    ) -> StoredEvent:
        """Make the change that a client's `m.room.member` event asks for, and store its content."""
        parse_user_id(target)
        standing = await find_standing(write.connection, room_id, target)
        is_banned = standing is not None and standing.membership is MemberState.BAN
        extra = {key: value for key, value in content.items() if key != "membership"}
        match content.get("membership"):
            case MemberState.JOIN if sender == target:
                return await self.add_join(write, room_id, sender, extra)
            case MemberState.LEAVE if sender == target:
                return await self.add_leave(write, room_id, sender, extra)
            case MemberState.INVITE:
                return await self.add_invite(write, room_id, sender, target, extra)
            case MemberState.BAN:
                return await self._change(write, room_id, sender, target, BAN, extra)
            case MemberState.LEAVE:
                action = UNBAN if is_banned else KICK
                return await self._change(write, room_id, sender, target, action, extra)
            case MemberState.JOIN:
                raise Forbidden("Nobody can join for somebody else")
        raise BadJson(f"membership: one of {', '.join(MemberState)} is needed")

    async def add_join(
        self, write: Write, room_id: RoomId, user_id: UserId, extra: Mapping[str, Any] = _NO_EXTRA
    ) -> StoredEvent:
        """Join, or change *extra* as a member; raise `NotFound` or `Forbidden`."""
        if not await room_exists(write.connection, room_id):
            raise NotFound("There is no such room")
        standing = await find_standing(write.connection, room_id, user_id)
        content = await current_content(write.connection, room_id, "m.room.join_rules") or {}
        rules.check_join(_kind(standing), content.get("join_rule", "invite"))
        return await self.record(write, room_id, user_id, user_id, MemberState.JOIN, extra)

    async def add_leave(
        self, write: Write, room_id: RoomId, user_id: UserId, extra: Mapping[str, Any] = _NO_EXTRA
    ) -> StoredEvent:
        """Leave or reject an invite; raise `Forbidden`."""
        standing = await find_standing(write.connection, room_id, user_id)
        rules.check_leave(_kind(standing))
        return await self.record(write, room_id, user_id, user_id, MemberState.LEAVE, extra)

    async def add_invite(
        self,
        write: Write,
        room_id: RoomId,
        sender: UserId,
        target: UserId,
        extra: Mapping[str, Any] = _NO_EXTRA,
    ) -> StoredEvent:
        """Invite; raise `Forbidden`, or `NotFound` for a user that does not exist."""
        await check_joined(write.connection, room_id, sender)
        if server_of(target) != self._server_name:
            raise Forbidden("Rooms are not federated: only users of this server can be invited")
        person = await find_user(write.connection, target)
        if person is None:
            raise NotFound(f"There is no user {target}")
        if person.account.is_deactivated:
            raise Forbidden(f"{target} was deactivated")
        return await self._change(write, room_id, sender, target, _INVITE, extra)

    async def leave_all(self, user_id: UserId) -> None:
        """Leave every room and reject every invite, a few at a time."""
        present = memberships.c.membership.in_((MemberState.JOIN, MemberState.INVITE))
        await self._record_in_all(user_id, MemberState.LEAVE, present)

    async def show_profile(self, user_id: UserId, profile: Profile) -> None:
        """Show the user's new *profile* in all their rooms, a few at a time; nobody joins.

        Rooms that show it already are left alone, so a call that was cut short can be repeated.
        """
        shows_another = or_(
            memberships.c.displayname.is_distinct_from(profile.displayname),
            memberships.c.avatar_url.is_distinct_from(profile.avatar_url),
        )
        is_joined = memberships.c.membership == MemberState.JOIN
        await self._record_in_all(user_id, MemberState.JOIN, is_joined & shows_another)

    async def record(
        self,
        write: Write,
        room_id: RoomId,
        sender: UserId,
        target: UserId,
        membership: MemberState,
        extra: Mapping[str, Any],
    ) -> StoredEvent:
        """Give *target* this membership; permissions are not checked."""
        before = await find_standing(write.connection, room_id, target)
        content: Json = {}
        if membership in (MemberState.JOIN, MemberState.INVITE):  # others show no profile
            profile = (await find_active(write.connection, target)).profile
            shown = {"displayname": profile.displayname, "avatar_url": profile.avatar_url}
            content = {key: value for key, value in shown.items() if value is not None}
        content |= {**extra, "membership": membership}
        if len(encode_json("content", content)) > _MAX_CONTENT:
            raise TooLarge(f"content: {MEMBER} may have {_MAX_CONTENT} bytes")
        event = await append(write, room_id, MEMBER, sender, content, target)
        await self._store(write, before, event, target, content)
        was_joined = before is not None and before.membership is MemberState.JOIN
        is_joined = membership is MemberState.JOIN
        if is_joined and not was_joined:
            await _check_number(write.connection, target)
        if was_joined != is_joined:
            write.membership_changes.append(MembershipChange(room_id, target, is_joined))
        write.news_for.add(target)
        return event

    async def _change(
        self,
        write: Write,
        room_id: RoomId,
        sender: UserId,
        target: UserId,
        action: Action,
        extra: Mapping[str, Any],
    ) -> StoredEvent:
        """Change the membership of *target* by an action of *sender*."""
        if action is KICK and sender == target:
            return await self.add_leave(write, room_id, sender, extra)
        check, becomes = action
        await check_joined(write.connection, room_id, sender)
        standing = await find_standing(write.connection, room_id, target)
        check(await power_levels(write.connection, room_id), sender, target, _kind(standing))
        return await self.record(write, room_id, sender, target, becomes, extra)

    async def _store(
        self,
        write: Write,
        before: Standing | None,
        event: StoredEvent,
        target: UserId,
        content: Json,
    ) -> None:
        row = {"room_id": event.room_id, "user_id": target, "membership": content["membership"]}
        shown = {name: content.get(name) for name in ("displayname", "avatar_url")}
        row |= {name: it if isinstance(it, str) else None for name, it in shown.items()}
        row["left_position"] = _left_position(before, event, content["membership"])
        if before is not None and before.membership is content["membership"]:
            row |= {"since_position": before.since_position, "since_ts": before.since_ts}
        else:
            row |= {"since_position": event.position, "since_ts": event.origin_server_ts}
        await write.connection.execute(upsert(write.connection, memberships), row)

    async def _record_in_all(
        self, user_id: UserId, membership: MemberState, which: ColumnElement[bool]
    ) -> None:
        """Give the user this membership in each room where *which* holds, in several transactions.

        Other writes may come between, so each transaction asks *which* again.
        """

        async def work(write: Write) -> None:
            for room_id in await _rooms_where(
                write.connection, own, memberships.c.room_id.in_(few)
            ):
                await self.record(write, room_id, user_id, user_id, membership, _NO_EXTRA)

        own = and_(memberships.c.user_id == user_id, which)
        async with self._ledger.read() as connection:
            room_ids = await _rooms_where(connection, own)
        untold: Untold | None = None
        for start in range(0, len(room_ids), _AT_A_TIME):
            few = room_ids[start : start + _AT_A_TIME]
            try:
                await self._ledger.write(work)
            except Untold as error:  # it is stored all the same
                untold = error
        if untold is not None:
            raise untold


async def _rooms_where(connection: AsyncConnection, *which: ColumnElement[bool]) -> list[RoomId]:
    query = select(memberships.c.room_id).where(*which).order_by(memberships.c.since_position)
    return [RoomId(room_id) for room_id in (await connection.execute(query)).scalars()]


async def _check_number(connection: AsyncConnection, user_id: UserId) -> None:
    """Raise `Forbidden` if the user, who has just joined one more room, is in too many."""
    query = select(func.count()).where(
        memberships.c.user_id == user_id, memberships.c.membership == MemberState.JOIN
    )
    if (await connection.execute(query)).scalar_one() > _MAX_JOINED:
        raise Forbidden(f"{user_id} is in {_MAX_JOINED} rooms already: leave one first")


def _left_position(
    before: Standing | None, event: StoredEvent, membership: MemberState
) -> int | None:
    """Return the position at which the target's last stay ended, *event* included."""
    if before is None or membership is MemberState.JOIN:
        return None
    return event.position if before.membership is MemberState.JOIN else before.left_position


def _kind(standing: Standing | None) -> MemberState | None:
    return None if standing is None else standing.membership

"""What a first sync starts from: a user's rooms and account data, at one moment.

It is read by a single statement: nothing else of a first sync is each user's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, literal, null, or_, select, union_all

from lamplighter.database.prepared import prepare
from lamplighter.database.tables import account_data, memberships, rooms, stream
from lamplighter.homeserver.sql.data_events import AccountDataByRoom, data_by_room
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId

__all__ = ["Home", "HomeReader"]

#: What a row is about, if not a room under its membership.
_STREAM: Final = "stream"
_DATA: Final = "data"


@dataclass(frozen=True, slots=True)
class Home:
    """What there is of a user, apart from what is in the rooms."""

    #: The moment, as a place in the stream.
    position: int
    #: By room that the user is in, the place of its last event.
    joined: Mapping[RoomId, int]
    #: By room that the user is in and that has receipts, the place of its last one.
    receipts: Mapping[RoomId, int]
    invited: Sequence[RoomId]
    account_data: AccountDataByRoom


class HomeReader:
    """Reads homes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._prepared = prepare(_query(), ledger.dialect)

    async def read(self, user_id: UserId) -> Home:
        """Return the user's home as it is now."""
        rows = await self._ledger.fetch(self._prepared, {"user_id": user_id})
        by_kind: dict[str, list[Any]] = {}
        for kind, *row in rows:
            by_kind.setdefault(kind, []).append(row)
        joined = by_kind.get(MemberState.JOIN, ())
        data = sorted(row[:4] for row in by_kind.get(_DATA, ()))
        return Home(
            by_kind[_STREAM][0][0],
            {RoomId(row[1]): row[0] for row in joined},
            {RoomId(row[1]): row[4] for row in joined if row[4] is not None},
            [RoomId(row[1]) for row in by_kind.get(MemberState.INVITE, ())],
            data_by_room((room_id, data_type, text) for _, room_id, data_type, text in data),
        )


def _query() -> Any:
    """Return the query for rows of kind, position, room ID, type of data, data, last receipt."""
    user_id: BindParameter[str] = bindparam("user_id", required=False)
    membership = memberships.c.membership
    present = or_(
        membership == _in_sql(MemberState.JOIN), membership == _in_sql(MemberState.INVITE)
    )
    my_rooms = (
        select(
            membership,
            rooms.c.last_position,
            rooms.c.room_id,
            null().label("type"),
            null().label("content"),
            rooms.c.receipts_position,
        )
        .join(rooms, rooms.c.room_id == memberships.c.room_id)
        .where(memberships.c.user_id == user_id, present)
    )
    data = account_data.c
    my_data = select(_in_sql(_DATA), data.position, data.room_id, data.type, data.content, null())
    moment = select(
        _in_sql(_STREAM),
        stream.c.position,
        null().label("room_id"),
        null().label("type"),
        null().label("content"),
        null().label("receipts_position"),
    )
    return union_all(my_rooms, my_data.where(data.user_id == user_id), moment)


def _in_sql(text: str) -> BindParameter[str]:
    return literal(text, literal_execute=True)

"""The start of a first sync: a user's rooms and account data, at one moment.

A single statement reads them. The rest of a first sync is the same for many users.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lamplighter.database.adapter import Statement
from lamplighter.homeserver.sql.data_events import AccountDataByRoom, data_by_room
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.values import MemberState
from lamplighter.ids import RoomId, UserId

__all__ = ["Home", "HomeReader"]

#: Rows of what they are about (a membership, `data` or `stream`), position, room ID, type of data,
#: data, and position of the last receipt.
_HOME: Final = """
SELECT membership, last_position, rooms.room_id, NULL, NULL, receipts_position
FROM memberships JOIN rooms ON rooms.room_id = memberships.room_id
WHERE user_id = $1 AND membership IN ('join', 'invite')
UNION ALL
SELECT 'data', position, room_id, type, content, NULL FROM account_data WHERE user_id = $1
UNION ALL
SELECT 'stream', position, NULL, NULL, NULL, NULL FROM stream
"""


@dataclass(frozen=True, slots=True)
class Home:
    """The rooms and account data of a user."""

    #: The moment, as a place in the stream.
    position: int
    #: The place of the last event, by room that the user is in.
    joined: Mapping[RoomId, int]
    #: The place of the last receipt, by room that the user is in and that has receipts.
    receipts: Mapping[RoomId, int]
    invited: Sequence[RoomId]
    account_data: AccountDataByRoom


class HomeReader:
    """Reads homes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def read(self, user_id: UserId) -> Home:
        """Return the user's home as it is now."""
        rows = await self._ledger.fetch(Statement(_HOME, (user_id,)))
        by_kind: dict[str, list[Any]] = {}
        for kind, *row in rows:
            by_kind.setdefault(kind, []).append(row)
        joined = by_kind.get(MemberState.JOIN, ())
        data = sorted(row[:4] for row in by_kind.get("data", ()))
        return Home(
            by_kind["stream"][0][0],
            {RoomId(row[1]): row[0] for row in joined},
            {RoomId(row[1]): row[4] for row in joined if row[4] is not None},
            [RoomId(row[1]) for row in by_kind.get(MemberState.INVITE, ())],
            data_by_room((room_id, data_type, text) for _, room_id, data_type, text in data),
        )

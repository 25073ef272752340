"""Receipts: up to which event a user has read a room.

Implements <https://spec.matrix.org/latest/client-server-api/#receipts>.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from lamplighter.database.dialects import upsert
from lamplighter.database.tables import events, receipts, rooms
from lamplighter.errors import NotFound, RequestError
from lamplighter.futures import fail, finish
from lamplighter.homeserver.sql.ledger import Ledger, Write
from lamplighter.homeserver.sql.limits import text_within
from lamplighter.homeserver.sql.state import check_joined
from lamplighter.homeserver.values import Receipt
from lamplighter.ids import RoomId, UserId
from lamplighter.ports import Json
from lamplighter.recent import Recent

__all__ = ["ReceiptPages", "Receipts", "StoredReceipt", "read_receipts", "receipt_event"]

_PUBLIC: Final = "m.read"
_PRIVATE: Final = "m.read.private"
#: Receipts of one kind that a user has in a room: each is of a thread, or of none.
_MAX_THREADS: Final = 100
#: Receipts in one transaction, at most.
_AT_A_TIME: Final = 500
#: The last receipts of a room in a first sync, beside the viewer's own.
_SHOWN_AT_FIRST: Final = 100
#: The last receipts of a room in a later sync, beside the viewer's own.
_SHOWN_LATER: Final = 1_000
#: Receipts that are cached for first syncs.
_MOST_KEPT: Final = 50_000


class StoredReceipt(NamedTuple):
    """A receipt as its row has it."""

    room_id: RoomId
    user_id: UserId
    type: str
    thread_id: str
    event_id: str
    event_position: int
    ts: int
    position: int


class _Waiting(NamedTuple):
    user_id: UserId
    room_id: RoomId
    receipt: Receipt
    done: "asyncio.Future[None]"


class Receipts:
    """Stores receipts. Receipts that arrive during a write share the next transaction.

    In a large room all members read a message at about the same time. So one `/sync` tells a member
    of many receipts, and there is no `/sync` for each of them.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def set_receipt(self, user_id: UserId, room_id: RoomId, receipt: Receipt) -> None:
        """Store that a member has read up to an event; an earlier event changes nothing.

        Raises `NotFound` for an event that is not in the room.
        """
        text_within("event ID", receipt.event_id)
        text_within("thread_id", receipt.thread_id or "")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(user_id, room_id, receipt, done))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_AT_A_TIME], self._waiting[_AT_A_TIME:]
            try:
                results = await self._ledger.write(lambda write: _store_all(write, batch))  # noqa: B023 - it ends before the next
            except Exception as error:  # noqa: BLE001 - the callers get it
                results = [error] * len(batch)
            for waiting, problem in zip(batch, results, strict=True):
                if problem is None:
                    finish(waiting.done)
                else:
                    fail(waiting.done, problem)
        self._writing = None


class ReceiptPages:
    """The cache of the last receipts of rooms, for first syncs."""

    def __init__(self) -> None:
        self._kept: Recent[RoomId, tuple[int, Sequence[StoredReceipt]]] = Recent(_MOST_KEPT)

    async def read(
        self, connection: AsyncConnection, user_id: UserId, places: Mapping[RoomId, int]
    ) -> Mapping[RoomId, Sequence[StoredReceipt]]:
        """Return the receipts for a first sync, by room; *places* are those of the last ones."""
        mine = receipts.c.user_id == user_id
        found: dict[RoomId, list[StoredReceipt]] = {room_id: [] for room_id in places}
        for receipt in await _rows(connection, select(receipts).where(mine)):
            if receipt.room_id in found:
                found[receipt.room_id].append(receipt)
        for room_id, place in places.items():
            kept = self._kept.get(room_id)
            if kept is None or kept[0] != place:
                kept = place, await _last(connection, room_id, 0, _SHOWN_AT_FIRST)
                self._kept.put(room_id, kept, 1 + len(kept[1]))
            found[room_id] += [it for it in kept[1] if it.user_id != user_id]
        return found


async def read_receipts(
    connection: AsyncConnection, room_id: RoomId, user_id: UserId, *, after: int
) -> list[StoredReceipt]:
    """Return the receipts for the sync of a member, of those set *after* a position."""
    most = _SHOWN_LATER if after else _SHOWN_AT_FIRST
    mine = select(receipts).where(
        receipts.c.room_id == room_id, receipts.c.user_id == user_id, receipts.c.position > after
    )
    others = await _last(connection, room_id, after, most)
    return [*await _rows(connection, mine), *(it for it in others if it.user_id != user_id)]


def receipt_event(found: Iterable[StoredReceipt]) -> Json:
    """Return the `m.receipt` event with these receipts."""
    content: dict[str, dict[str, Json]] = {}
    for receipt in found:
        said: Json = {"ts": receipt.ts}
        if receipt.thread_id:
            said["thread_id"] = receipt.thread_id
        by_user = content.setdefault(receipt.event_id, {}).setdefault(receipt.type, {})
        by_user[receipt.user_id] = said
    return {"type": "m.receipt", "content": content}


async def _last(
    connection: AsyncConnection, room_id: RoomId, after: int, most: int
) -> list[StoredReceipt]:
    query = select(receipts).where(
        receipts.c.room_id == room_id, receipts.c.position > after, receipts.c.type == _PUBLIC
    )
    return await _rows(connection, query.order_by(receipts.c.position.desc()).limit(most))


async def _rows(connection: AsyncConnection, query: Any) -> list[StoredReceipt]:
    return [StoredReceipt._make(row) for row in await connection.execute(query)]


async def _store_all(write: Write, batch: Sequence[_Waiting]) -> list[Exception | None]:
    """Store the receipts; return the error of each, or None."""
    problems: list[Exception | None] = []
    for waiting in batch:
        try:
            await _store(write, waiting.user_id, waiting.room_id, waiting.receipt)
            problems.append(None)
        except RequestError as error:
            problems.append(error)
    return problems


async def _store(write: Write, user_id: UserId, room_id: RoomId, receipt: Receipt) -> None:
    await check_joined(write.connection, room_id, user_id)
    place = select(events.c.position).where(
        events.c.room_id == room_id, events.c.event_id == receipt.event_id
    )
    event_position = (await write.connection.execute(place)).scalar_one_or_none()
    if event_position is None:
        raise NotFound("The room has no such event")
    key = {
        "room_id": room_id,
        "user_id": user_id,
        "type": _PRIVATE if receipt.is_private else _PUBLIC,
        "thread_id": receipt.thread_id or "",
    }
    before = select(receipts.c.event_position).filter_by(**key)
    known = (await write.connection.execute(before)).scalar_one_or_none()
    if known is not None and known >= event_position:
        return
    if known is None:
        await _make_room(write, key)
    row = key | {"event_id": receipt.event_id, "event_position": event_position, "ts": write.now}
    row["position"] = position = write.next_position()
    await write.connection.execute(upsert(write.connection, receipts), row)
    room = update(rooms).where(rooms.c.room_id == room_id)
    await write.connection.execute(room.values(receipts_position=position))
    if receipt.is_private:
        write.news_for.add(user_id)
    else:
        write.news_in.add(room_id)


async def _make_room(write: Write, key: Mapping[str, str]) -> None:
    """Delete the user's oldest receipt of this kind in the room, if there are too many."""
    mine = [receipts.c[name] == key[name] for name in ("room_id", "user_id", "type")]
    count = await write.connection.execute(select(func.count()).select_from(receipts).where(*mine))
    if count.scalar_one() >= _MAX_THREADS:
        oldest = select(func.min(receipts.c.position)).where(*mine).scalar_subquery()
        await write.connection.execute(delete(receipts).where(*mine, receipts.c.position == oldest))

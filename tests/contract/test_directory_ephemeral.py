"""Typing and receipts, in every adapter of the built-in homeserver."""

from datetime import timedelta
from typing import Any

import pytest

from lamplighter.errors import Forbidden, NotFound
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.values import Receipt
from lamplighter.ids import RoomId, UserId
from tests.contract.directories import ALICE, BOB, CHARLIE, Answer, Subject, refused

pytestmark = pytest.mark.usefixtures("people")

TEN_SECONDS = timedelta(seconds=10)


def ephemeral(answer: Answer, room_id: RoomId) -> list[Any]:
    """Return what an answer says of a room beside its events."""
    found: dict[str, Any] = answer.rooms.get("join", {}).get(room_id, {})
    return list(found["ephemeral"]["events"]) if found else []


def typing(*user_ids: UserId) -> dict[str, Any]:
    """Return the event that says who types."""
    return {"type": "m.typing", "content": {"user_ids": list(user_ids)}}


def read(event_id: str, user_id: UserId, ts: int, kind: str = "m.read") -> dict[str, Any]:
    """Return the event that says that somebody has read."""
    return {"type": "m.receipt", "content": {event_id: {kind: {user_id: {"ts": ts}}}}}


async def test_typing_is_told_to_members(tested: Subject, directory: SqlDirectory) -> None:
    """Members hear that somebody begins to type and stops, once each; nobody else has news."""
    room = await tested.room(ALICE, BOB)
    since = (await tested.sync(ALICE)).next_batch
    tested.recorder.forget()
    await directory.set_typing(BOB, room, TEN_SECONDS)
    await directory.set_typing(BOB, room, TEN_SECONDS)
    begun = await tested.sync(ALICE, since)
    again = await tested.sync(ALICE, begun.next_batch)
    await directory.set_typing(BOB, room, None)
    await directory.set_typing(BOB, room, None)
    stopped = await tested.sync(ALICE, begun.next_batch)
    assert (ephemeral(begun, room), ephemeral(stopped, room)) == ([typing(BOB)], [typing()])
    assert (again.rooms, again.next_batch) == ({}, begun.next_batch)
    assert tested.recorder.news == [{ALICE, BOB}, {ALICE, BOB}]
    assert directory.rooms_are_quiet(CHARLIE, since)


async def test_typing_ends_by_itself(tested: Subject, directory: SqlDirectory) -> None:
    """A typing notice ends after its time-out, or after the longest one that is allowed."""
    room = await tested.room(ALICE, BOB)
    await directory.set_typing(ALICE, room, timedelta(days=1))
    await directory.set_typing(BOB, room, TEN_SECONDS)
    first = await tested.sync(ALICE)
    tested.clock.advance(seconds=10)
    second = await tested.sync(ALICE, first.next_batch)
    tested.clock.advance(seconds=110)
    third = await tested.sync(ALICE, second.next_batch)
    told = [ephemeral(answer, room) for answer in (first, second, third)]
    assert told == [[typing(ALICE, BOB)], [typing(ALICE)], [typing()]]


async def test_who_leaves_stops_typing(tested: Subject, directory: SqlDirectory) -> None:
    """A former member types no more, and hears no more of who does."""
    room = await tested.room(ALICE, BOB)
    await directory.set_typing(BOB, room, TEN_SECONDS)
    since = (await tested.sync(ALICE)).next_batch
    await directory.leave(BOB, room)
    assert ephemeral(await tested.sync(ALICE, since), room) == [typing()]
    tested.recorder.forget()
    await directory.set_typing(ALICE, room, TEN_SECONDS)
    assert tested.recorder.news == [{ALICE}]
    await refused(Forbidden, directory.set_typing(BOB, room, TEN_SECONDS))


async def test_who_joins_hears_of_typing(tested: Subject, directory: SqlDirectory) -> None:
    """A new member is told who types, and when that ends."""
    room = await tested.room(ALICE)
    since = (await tested.sync(BOB)).next_batch
    await directory.set_typing(ALICE, room, TEN_SECONDS)
    await directory.join(BOB, room)
    joined = await tested.sync(BOB, since)
    tested.clock.advance(seconds=10)
    after = await tested.sync(BOB, joined.next_batch)
    assert (ephemeral(joined, room), ephemeral(after, room)) == ([typing(ALICE)], [typing()])


async def test_receipts_are_told_to_members(tested: Subject, directory: SqlDirectory) -> None:
    """Members hear up to where somebody has read: once, and again when they come in anew."""
    room = await tested.room(ALICE, BOB)
    event_id = await tested.say(ALICE, room, "Tea?")
    since = (await tested.sync(ALICE)).next_batch
    tested.clock.advance(seconds=1)
    await directory.set_receipt(BOB, room, Receipt(event_id))
    told = await tested.sync(ALICE, since)
    again = await tested.sync(ALICE, told.next_batch)
    expected = read(event_id, BOB, tested.clock.now())
    assert [ephemeral(it, room) for it in (told, again)] == [[expected], []]
    assert ephemeral(await tested.sync(ALICE), room) == [expected]
    await directory.join(CHARLIE, room)
    first = await tested.sync(CHARLIE, since)
    assert ephemeral(first, room) == [expected]


async def test_a_receipt_goes_forward_only(tested: Subject, directory: SqlDirectory) -> None:
    """A receipt for an earlier event, or for the same, is nothing new."""
    room = await tested.room(ALICE, BOB)
    old, new = await tested.say(ALICE, room, "1"), await tested.say(ALICE, room, "2")
    await directory.set_receipt(BOB, room, Receipt(new))
    since = (await tested.sync(ALICE)).next_batch
    tested.recorder.forget()
    await directory.set_receipt(BOB, room, Receipt(old))
    await directory.set_receipt(BOB, room, Receipt(new))
    assert (tested.recorder.news, (await tested.sync(ALICE, since)).rooms) == ([], {})


async def test_private_receipts(tested: Subject, directory: SqlDirectory) -> None:
    """A private receipt is told to one's own devices only, and gives nobody else news."""
    room = await tested.room(ALICE, BOB)
    event_id = await tested.say(ALICE, room, "Tea?")
    alices, bobs = (await tested.sync(ALICE)).next_batch, (await tested.sync(BOB)).next_batch
    tested.recorder.forget()
    await directory.set_receipt(BOB, room, Receipt(event_id, is_private=True))
    assert tested.recorder.news == [{BOB}]
    assert (await tested.sync(ALICE, alices)).rooms == {}
    mine = read(event_id, BOB, tested.clock.now(), "m.read.private")
    assert ephemeral(await tested.sync(BOB, bobs), room) == [mine]
    assert ephemeral(await tested.sync(BOB), room) == [mine]
    assert ephemeral(await tested.sync(ALICE), room) == []


async def test_receipts_of_threads(tested: Subject, directory: SqlDirectory) -> None:
    """Each thread has its receipt; of more than a hundred, the oldest is forgotten."""
    room = await tested.room(ALICE)
    event_id = await tested.say(ALICE, room, "Tea?")
    for number in range(102):
        await directory.set_receipt(ALICE, room, Receipt(event_id, thread_id=f"${number}"))
    since = (await tested.sync(ALICE)).next_batch
    later = await tested.say(ALICE, room, "More?")
    await directory.set_receipt(ALICE, room, Receipt(later, thread_id="$101"))
    told = ephemeral(await tested.sync(ALICE, since), room)
    said = {"ts": tested.clock.now(), "thread_id": "$101"}
    assert told == [{"type": "m.receipt", "content": {later: {"m.read": {ALICE: said}}}}]
    for number in range(2):  # they are not known any more: so each is news
        before = (await tested.sync(ALICE)).next_batch
        await directory.set_receipt(ALICE, room, Receipt(event_id, thread_id=f"${number}"))
        assert len(ephemeral(await tested.sync(ALICE, before), room)) == 1


async def test_what_is_not_there_cannot_be_read(tested: Subject, directory: SqlDirectory) -> None:
    """Events of other rooms, and rooms one is not in, have no receipts."""
    room, other = await tested.room(ALICE), await tested.room(ALICE)
    event_id = await tested.say(ALICE, other, "Tea?")
    await refused(NotFound, directory.set_receipt(ALICE, room, Receipt(event_id)))
    await refused(Forbidden, directory.set_receipt(BOB, other, Receipt(event_id)))


async def test_filters(tested: Subject, directory: SqlDirectory) -> None:
    """A client that does not want ephemeral events, or not all of them, does not get them."""
    room = await tested.room(ALICE)
    event_id = await tested.say(ALICE, room, "Tea?")
    since = (await tested.sync(ALICE)).next_batch
    await directory.set_receipt(ALICE, room, Receipt(event_id))
    await directory.set_typing(ALICE, room, TEN_SECONDS)
    found = []
    filters: list[dict[str, Any]] = [{}, {"types": ["m.receipt"]}, {"types": []}]
    for wanted in (*filters, {"not_rooms": [room]}):
        told = [
            ephemeral(await tested.sync(ALICE, token, RoomFilter(ephemeral=wanted)), room)
            for token in (since, None)
        ]
        assert sorted(it["type"] for it in told[0]) == sorted(it["type"] for it in told[1])
        found.append(sorted(it["type"] for it in told[0]))
    assert found == [["m.receipt", "m.typing"], ["m.receipt"], [], []]

"""Text of every kind: what the directory keeps is what was sent; a NUL is refused."""

import asyncio
from collections.abc import Awaitable

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import DeviceId, RoomAlias, RoomId
from tests.contract.directories import ALICE, BOB, PHONE, Subject, on_phone

NUL = "a\0b"
#: Characters that an engine, or its JSON, may take for something else.
ODD = 'C:\\new\\x41 "q" \u2028 \u00e9 \U0001f98a %_\\u0000 $1 ? :name'


async def test_odd_text_is_kept(tested: Subject, directory: SqlDirectory) -> None:
    """Names, topics, account data and filters come back as they were sent."""
    await tested.users("alice")
    await directory.set_displayname(ALICE, ODD)
    await directory.set_account_data(ALICE, None, ODD, {ODD: ODD})
    filter_id = await directory.save_filter(ALICE, {ODD: ODD})
    room_id = await tested.room(ALICE)
    await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": ODD, "nul": "\0"})
    topic = await directory.state_event(ALICE, room_id, "m.room.topic", "")
    assert (await directory.profile(ALICE)).displayname == ODD
    assert await directory.account_data(ALICE, None, ODD) == {ODD: ODD}
    assert await directory.filter(ALICE, filter_id) == {ODD: ODD}
    assert topic["content"] == {"topic": ODD, "nul": "\0"}


async def test_rooms_are_found_beside_a_nul(tested: Subject, directory: SqlDirectory) -> None:
    """A room with a NUL in its topic does not keep others from being found by name."""
    await tested.users("alice")
    for name, topic in (("Garden", "\0"), ("Garden of \\ roses", "sound")):
        room_id = await tested.room(ALICE)
        await directory.publish(ALICE, room_id, published=True)
        await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": name})
        await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": topic})
    rooms, _ = await directory.public_rooms(10, search_term="garden")
    assert {room["name"] for room in rooms} - {"Garden"} == {"Garden of \\ roses"}


async def test_a_nul_is_refused(tested: Subject, directory: SqlDirectory) -> None:
    """A NUL in what the database looks up or keeps is the request's fault, and changes nothing."""
    await tested.users("alice", "bob")
    room = await tested.room(ALICE)
    phone, alias, it = on_phone(ALICE), RoomAlias(f"#{NUL}:lamp.test"), tested.directory
    before = await tested.sync(ALICE)
    requests: list[Awaitable[object]] = [
        it.set_displayname(ALICE, NUL),
        it.set_account_data(ALICE, None, NUL, {}),
        it.account_data(ALICE, None, NUL),
        it.rename_device(ALICE, PHONE, NUL),
        it.device(ALICE, DeviceId(NUL)),
        it.log_in(ALICE, device_id=DeviceId(NUL)),
        it.filter(ALICE, NUL),
        it.send_event(phone, room, NUL, {}, "1"),
        it.send_event(phone, room, "m.room.message", {}, NUL),
        it.set_state(ALICE, room, "m.room.topic", NUL, {}),
        it.state_event(ALICE, room, NUL, NUL),
        it.join(BOB, RoomId(f"!{NUL}")),
        it.resolve_alias(alias),
        it.set_alias(ALICE, alias, room),
        it.search_people(ALICE, NUL, 10),
        it.event(phone, room, NUL),
    ]
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert [it for it in outcomes if not isinstance(it, InvalidParam)] == []
    assert await tested.sync(ALICE) == before

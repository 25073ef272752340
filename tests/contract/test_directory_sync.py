"""The `Directory` port: the rooms half of a `/sync`."""

from typing import Any

import pytest

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, UserId
from lamplighter.pieces import Pieces
from lamplighter.ports import Requester
from tests.contract.directories import ALICE, BOB, CHARLIE, Answer, Town, on_phone

#: What a new public room holds before the creator says anything.
FIRST_STATE = [
    "@alice join", "create", "guest_access", "history_visibility", "join_rules", "power_levels",
]  # fmt: skip


def limit(events: int, **others: Any) -> RoomFilter:
    """Return a filter for timelines of so many events."""
    return RoomFilter(timeline_limit=events, **others)


async def test_nothing_to_say(town: Town) -> None:
    """A user without rooms is told nothing, and a token that stays good."""
    await town.settle("alice")
    first = await town.sync(ALICE)
    assert (first.rooms, first.account_data) == ({}, {})
    assert await town.sync(ALICE, first.next_batch) == first


async def test_initial_sync(town: Town) -> None:
    """An initial sync has each room's last events, and the state from before them."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    await town.say(ALICE, room_id, "one")
    await town.say(ALICE, room_id, "two")
    answer = await town.sync(ALICE, wanted=limit(2))
    assert answer.timeline(room_id) == ["one", "two"]
    assert answer.state(room_id) == FIRST_STATE
    room = answer.rooms["join"][room_id]
    assert room["timeline"]["limited"] is True
    assert room["summary"] == {
        "m.heroes": [],
        "m.joined_member_count": 1,
        "m.invited_member_count": 0,
    }


async def test_state_is_that_before_the_timeline(town: Town) -> None:
    """State that changes within the timeline is not told in advance."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    await town.directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "old"})
    await town.say(ALICE, room_id, "one")
    await town.directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "new"})
    room = (await town.sync(ALICE, wanted=limit(2))).rooms["join"][room_id]
    before = [e["content"] for e in room["state"]["events"] if e["type"] == "m.room.name"]
    assert before == [{"name": "old"}]
    assert room["timeline"]["events"][-1]["content"] == {"name": "new"}


async def test_deltas(town: Town) -> None:
    """A later sync has what is new, in rooms where something is."""
    await town.settle("alice", "bob")
    quiet = await town.room(ALICE)
    loud = await town.room(ALICE, BOB)
    since = (await town.sync(ALICE)).next_batch
    await town.say(BOB, loud, "hello")
    answer = await town.sync(ALICE, since)
    assert quiet not in answer.rooms["join"]
    assert answer.timeline(loud) == ["hello"]
    assert answer.state(loud) == []
    assert answer.rooms["join"][loud]["timeline"]["limited"] is False
    after = await town.sync(ALICE, answer.next_batch)
    assert after == Answer(answer.next_batch, {}, {})


async def test_gaps(town: Town) -> None:
    """Where the timeline has a gap, the state tells what changed in it."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE)
    since = (await town.sync(ALICE)).next_batch
    await town.directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "K"})
    await town.directory.join(BOB, room_id)
    await town.say(BOB, room_id, "hello")
    answer = await town.sync(ALICE, since, limit(1))
    assert answer.timeline(room_id) == ["hello"]
    assert answer.state(room_id) == ["@bob join", "name"]
    room = answer.rooms["join"][room_id]
    assert room["timeline"]["limited"] is True
    assert room["summary"]["m.heroes"] == [BOB]
    assert room["summary"]["m.joined_member_count"] == 2


async def test_a_room_just_joined(town: Town) -> None:
    """Who has joined since the token gets the room in full, its history included."""
    await town.settle("alice", "bob")
    since = (await town.sync(BOB)).next_batch
    room_id = await town.room(ALICE)
    await town.say(ALICE, room_id, "before")
    await town.directory.join(BOB, room_id)
    answer = await town.sync(BOB, since, limit(2))
    assert answer.timeline(room_id) == ["before", "@bob join"]
    assert answer.state(room_id) == FIRST_STATE


async def test_joining_again(town: Town) -> None:
    """Who has left and come back since the token gets the room in full."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE, BOB)
    since = (await town.sync(BOB)).next_batch
    await town.directory.leave(BOB, room_id)
    await town.directory.join(BOB, room_id)
    answer = await town.sync(BOB, since, limit(1))
    assert answer.timeline(room_id) == ["@bob join"]
    assert answer.state(room_id) == sorted([*FIRST_STATE, "@bob leave"])


async def test_full_state(town: Town) -> None:
    """`full_state` brings all rooms with all their state, and only what is new of the timeline."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    since = (await town.sync(ALICE)).next_batch
    answer = await town.sync(ALICE, since, full_state=True)
    assert answer.timeline(room_id) == []
    assert answer.state(room_id) == FIRST_STATE


async def test_invites(town: Town) -> None:
    """An invite shows the room's name and who invites, stripped, and no member or message."""
    await town.settle("alice", "bob")
    since = (await town.sync(BOB)).next_batch
    room_id = await town.directory.create_room(
        ALICE, NewRoom(preset="private_chat", name="Kitchen", invite=[BOB])
    )
    await town.say(ALICE, room_id, "secret")
    for answer in (await town.sync(BOB, since), await town.sync(BOB)):
        assert list(answer.rooms) == ["invite"]
        events = answer.rooms["invite"][room_id]["invite_state"]["events"]
        assert {e["type"] for e in events} == {
            "m.room.create", "m.room.join_rules", "m.room.name", "m.room.member",
        }  # fmt: skip
        assert events[-1] == {
            "type": "m.room.member",
            "state_key": BOB,
            "sender": ALICE,
            "content": {"membership": "invite"},
        }
        assert (await town.sync(BOB, answer.next_batch)).rooms == {}


async def test_a_rejected_invite(town: Town) -> None:
    """Who rejects an invite sees that it is gone, and nothing else of the room."""
    await town.settle("alice", "bob")
    room_id = await town.directory.create_room(ALICE, NewRoom("private_chat", invite=[BOB]))
    since = (await town.sync(BOB)).next_batch
    await town.say(ALICE, room_id, "secret")
    await town.directory.leave(BOB, room_id)
    answer = await town.sync(BOB, since)
    assert answer.timeline(room_id, "leave") == ["@bob leave"]
    assert answer.state(room_id, "leave") == []
    everything = await town.sync(BOB, since, full_state=True)
    assert everything.timeline(room_id, "leave") == ["@bob leave"]
    assert everything.state(room_id, "leave") == ["@bob invite"]


async def test_leaving(town: Town) -> None:
    """A room left since the token is told up to the leave, and not again."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE, BOB)
    since = (await town.sync(BOB)).next_batch
    await town.say(ALICE, room_id, "for bob")
    await town.directory.kick(ALICE, room_id, BOB, None)
    await town.say(ALICE, room_id, "not for bob")
    answer = await town.sync(BOB, since)
    assert list(answer.rooms) == ["leave"]
    assert answer.timeline(room_id, "leave") == ["for bob", "@bob leave"]
    assert (await town.sync(BOB, answer.next_batch)).rooms == {}


async def test_former_rooms(town: Town) -> None:
    """An initial sync has former rooms where the filter asks for them, up to the leave."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE, BOB)
    await town.directory.leave(BOB, room_id)
    await town.say(ALICE, room_id, "not for bob")
    assert (await town.sync(BOB)).rooms == {}
    answer = await town.sync(BOB, wanted=limit(1, include_leave=True))
    assert answer.timeline(room_id, "leave") == ["@bob leave"]
    assert answer.state(room_id, "leave") == sorted([*FIRST_STATE, "@bob join"])


async def test_transaction_ids(town: Town) -> None:
    """The device that sent an event sees its transaction ID, no other device does."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE, BOB)
    since = (await town.sync(ALICE)).next_batch
    await town.say(ALICE, room_id, "hello", "txn 1")
    laptop = Requester(ALICE, DeviceId("LAPTOP"))
    seen = {}
    for requester in (on_phone(ALICE), laptop, on_phone(BOB)):
        answer = await town.directory.sync_rooms(requester, since, RoomFilter(), full_state=False)
        seen[requester] = b'"transaction_id":"txn 1"' in bytes(answer.body)
    assert seen == {on_phone(ALICE): True, laptop: False, on_phone(BOB): False}


async def test_account_data(town: Town) -> None:
    """Account data comes once it is set: global, and with the room it belongs to."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    since = (await town.sync(ALICE)).next_batch
    await town.directory.set_account_data(ALICE, None, "m.direct", {"a": 1})
    await town.directory.set_account_data(ALICE, room_id, "m.tag", {"b": 2})
    delta = await town.sync(ALICE, since)
    for answer in (delta, await town.sync(ALICE)):
        assert answer.account_data == {"events": [{"type": "m.direct", "content": {"a": 1}}]}
        assert answer.rooms["join"][room_id]["account_data"] == {
            "events": [{"type": "m.tag", "content": {"b": 2}}]
        }
    assert await town.sync(ALICE, delta.next_batch) == Answer(delta.next_batch, {}, {})


async def test_account_data_of_a_room_joined_later(town: Town) -> None:
    """Who joins gets the data they had set for the room before."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE)
    await town.directory.set_account_data(BOB, room_id, "m.tag", {"b": 2})
    since = (await town.sync(BOB)).next_batch
    await town.directory.join(BOB, room_id)
    answer = await town.sync(BOB, since)
    assert answer.rooms["join"][room_id]["account_data"] == {
        "events": [{"type": "m.tag", "content": {"b": 2}}]
    }


@pytest.mark.parametrize(
    "token", ["", "garbage", "0_0", "12345678_3", "_", "s72594_4483_1934", "9" * 400, "٣_٣"]
)
async def test_foreign_tokens(town: Town, token: str) -> None:
    """A token that this directory did not give out is answered in full."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    assert (await town.sync(ALICE, token)).state(room_id) == []
    assert await town.sync(ALICE, token) == await town.sync(ALICE)


async def test_tokens_of_the_future(town: Town) -> None:
    """A token from a time that a restored backup has undone is answered in full."""
    await town.settle("alice")
    await town.room(ALICE)
    incarnation = (await town.sync(ALICE)).next_batch.partition("_")[0]
    assert await town.sync(ALICE, f"{incarnation}_999999") == await town.sync(ALICE)


@pytest.mark.parametrize(
    ("definition", "timeline"),
    [
        ({}, ["one", "topic", "two"]),
        ({"types": ["m.room.message"]}, ["one", "two"]),
        ({"types": ["m.room.*e"]}, ["one", "two"]),
        ({"types": ["M.ROOM.*"]}, []),
        ({"types": ["m.room_message", "m_room.*"]}, []),
        ({"types": []}, []),
        ({"types": "m.room.message"}, ["one", "topic", "two"]),
        ({"not_types": ["*.topic"]}, ["one", "two"]),
        ({"types": ["*"], "not_types": ["*"]}, []),
        ({"senders": [BOB]}, ["two"]),
        ({"not_senders": [BOB]}, ["one", "topic"]),
        ({"rooms": []}, []),
        ({"not_rooms": ["!other:lamp.test"]}, ["one", "topic", "two"]),
    ],
)
async def test_timeline_filters(
    town: Town, definition: dict[str, Any], timeline: list[str]
) -> None:
    """A filter picks events by type, with wildcards, by sender and by room."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE, BOB)
    since = (await town.sync(ALICE)).next_batch
    await town.say(ALICE, room_id, "one")
    await town.directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "T"})
    await town.say(BOB, room_id, "two")
    answer = await town.sync(ALICE, since, RoomFilter(timeline=definition))
    shown = answer.timeline(room_id) if "join" in answer.rooms else []
    assert shown == timeline


async def test_state_left_out_of_the_timeline(town: Town) -> None:
    """A state change that the timeline's filter leaves out is told as state."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    since = (await town.sync(ALICE)).next_batch
    await town.say(ALICE, room_id, "one")
    await town.directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "T"})
    messages = RoomFilter(timeline={"types": ["m.room.message"]})
    answer = await town.sync(ALICE, since, messages)
    assert (answer.timeline(room_id), answer.state(room_id)) == (["one"], ["topic"])


async def test_other_filters(town: Town) -> None:
    """State, account data and whole rooms can be filtered as well."""
    await town.settle("alice")
    wanted, other = await town.room(ALICE), await town.room(ALICE)
    for data_type in ("a", "b"):
        await town.directory.set_account_data(ALICE, None, data_type, {})
        await town.directory.set_account_data(ALICE, wanted, data_type, {})
    everything = RoomFilter(
        timeline_limit=0,
        rooms=frozenset([wanted, other]),
        not_rooms=frozenset([other]),
        state={"types": ["m.room.create"]},
        account_data={"not_types": ["b"]},
        room_account_data={"types": ["b"]},
    )
    answer = await town.sync(ALICE, wanted=everything)
    assert list(answer.rooms["join"]) == [wanted]
    assert (answer.timeline(wanted), answer.state(wanted)) == ([], ["create"])
    assert answer.account_data == {"events": [{"type": "a", "content": {}}]}
    room = answer.rooms["join"][wanted]
    assert room["account_data"] == {"events": [{"type": "b", "content": {}}]}
    assert room["timeline"]["limited"] is True


@pytest.mark.parametrize("names", [["x"] * 401, ["*a*a*a*a"]])
async def test_filters_that_cost_too_much(town: Town, names: list[str]) -> None:
    """A filter of very many names, or a name of many wildcards, is refused."""
    await town.settle("alice")
    with pytest.raises(InvalidParam):
        await town.sync(ALICE, wanted=RoomFilter(timeline={"types": names}))


async def test_long_filters(town: Town) -> None:
    """A filter that is not refused for its length is one that the database takes."""
    await town.settle("alice")
    room_id = await town.room(ALICE)
    names = [f"{n}" for n in range(380)]
    wild = [f"{n}*" for n in range(20)]
    wanted = {"types": [*names, *wild[1:], "*"], "not_types": [*names, *wild]}
    wanted["senders"] = [ALICE, *names, *wild[1:]]
    answer = await town.sync(ALICE, wanted=RoomFilter(timeline=wanted, state=wanted))
    assert len(answer.timeline(room_id)) == 6


async def test_presence_of_others_is_not_news(town: Town) -> None:
    """What happens in other people's rooms leaves a user's token as it is."""
    await town.settle("alice", "bob", "charlie")
    room_id = await town.room(ALICE, BOB)
    since = await town.sync(CHARLIE)
    town.recorder.forget()
    await town.say(ALICE, room_id, "hello")
    assert town.recorder.news == [{ALICE, BOB}]
    assert await town.sync(CHARLIE, since.next_batch) == since


async def test_bans_and_lifted_bans(town: Town) -> None:
    """A ban, and its lifting, are shown to the banned as a room they have left."""
    await town.settle("alice", "bob")
    room_id = await town.room(ALICE, BOB)
    await town.directory.leave(BOB, room_id)
    since = (await town.sync(BOB)).next_batch
    await town.directory.ban(ALICE, room_id, UserId(BOB), None)
    banned = await town.sync(BOB, since)
    assert banned.timeline(room_id, "leave") == ["@bob ban"]
    await town.directory.unban(ALICE, room_id, BOB)
    lifted = await town.sync(BOB, banned.next_batch)
    assert lifted.timeline(room_id, "leave") == ["@bob leave"]


@pytest.mark.parametrize("way", ["first", "incremental", "full state", "left"])
async def test_a_large_answer_comes_in_pieces(town: Town, way: str) -> None:
    """What is told of rooms is made event by event, so no piece is larger than an event."""
    await town.settle("alice", "bob")
    room_id = await town.room(BOB, ALICE)
    since = (await town.sync(ALICE)).next_batch
    for number in range(10):
        await town.directory.set_state(BOB, room_id, "m.a", str(number), {"text": "x" * 5_000})
    for number in range(10):
        content = {"text": "x" * 5_000}
        await town.directory.send_event(on_phone(BOB), room_id, "m.b", content, str(number))
    if way == "left":
        await town.directory.leave(ALICE, room_id)
    answer = await town.directory.sync_rooms(
        on_phone(ALICE),
        None if way == "first" else since,
        RoomFilter(include_leave=True),
        full_state=way == "full state",
    )
    assert isinstance(answer.body, Pieces)
    sizes = list(map(len, answer.body))
    assert (sum(sizes) > 75_000, max(sizes) < 6_000) == (True, True)

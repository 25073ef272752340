"""The `Directory` port: the rooms half of a `/sync`."""

from typing import Any

import pytest

from lamplighter.errors import InvalidParam
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.sql.filtering import RoomFilter
from lamplighter.homeserver.values import NewRoom
from lamplighter.ids import DeviceId, UserId
from lamplighter.pieces import Pieces
from lamplighter.ports import Requester
from tests.contract.directories import ALICE, BOB, CHARLIE, Answer, Subject, on_phone, refused

pytestmark = pytest.mark.usefixtures("people")

#: What a new public room holds before the creator says anything.
FIRST_STATE = [
    "@alice join", "create", "guest_access", "history_visibility", "join_rules", "power_levels",
]  # fmt: skip


def limit(events: int, **others: Any) -> RoomFilter:
    """Return a filter for timelines of at most *events* events."""
    return RoomFilter(timeline_limit=events, **others)


async def test_nothing_to_say(tested: Subject) -> None:
    """A user without rooms is told nothing, and a token that stays good."""
    first = await tested.sync(ALICE)
    assert (first.rooms, first.account_data) == ({}, {})
    assert await tested.sync(ALICE, first.next_batch) == first


async def test_initial_sync(tested: Subject) -> None:
    """An initial sync has each room's last events, and the state from before them."""
    room_id = await tested.room(ALICE)
    await tested.say(ALICE, room_id, "one")
    await tested.say(ALICE, room_id, "two")
    answer = await tested.sync(ALICE, wanted=limit(2))
    assert answer.timeline(room_id) == ["one", "two"]
    assert answer.state(room_id) == FIRST_STATE
    room = answer.rooms["join"][room_id]
    assert room["timeline"]["limited"] is True
    assert room["summary"] == {
        "m.heroes": [],
        "m.joined_member_count": 1,
        "m.invited_member_count": 0,
    }


async def test_state_is_that_before_the_timeline(tested: Subject, directory: SqlDirectory) -> None:
    """State that changes within the timeline is not told in advance."""
    room_id = await tested.room(ALICE)
    await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "old"})
    await tested.say(ALICE, room_id, "one")
    await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "new"})
    room = (await tested.sync(ALICE, wanted=limit(2))).rooms["join"][room_id]
    before = [e["content"] for e in room["state"]["events"] if e["type"] == "m.room.name"]
    assert before == [{"name": "old"}]
    assert room["timeline"]["events"][-1]["content"] == {"name": "new"}


async def test_deltas(tested: Subject) -> None:
    """A later sync has what is new, in rooms where something is."""
    quiet = await tested.room(ALICE)
    loud = await tested.room(ALICE, BOB)
    since = (await tested.sync(ALICE)).next_batch
    await tested.say(BOB, loud, "hello")
    answer = await tested.sync(ALICE, since)
    assert quiet not in answer.rooms["join"]
    assert answer.timeline(loud) == ["hello"]
    assert answer.state(loud) == []
    assert answer.rooms["join"][loud]["timeline"]["limited"] is False
    after = await tested.sync(ALICE, answer.next_batch)
    assert after == Answer(answer.next_batch, {}, {})


async def test_gaps(tested: Subject, directory: SqlDirectory) -> None:
    """Where the timeline has a gap, the state tells what changed in it."""
    room_id = await tested.room(ALICE)
    since = (await tested.sync(ALICE)).next_batch
    await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "K"})
    await directory.join(BOB, room_id)
    await tested.say(BOB, room_id, "hello")
    answer = await tested.sync(ALICE, since, limit(1))
    assert answer.timeline(room_id) == ["hello"]
    assert answer.state(room_id) == ["@bob join", "name"]
    room = answer.rooms["join"][room_id]
    assert room["timeline"]["limited"] is True
    assert room["summary"]["m.heroes"] == [BOB]
    assert room["summary"]["m.joined_member_count"] == 2


async def test_a_room_just_joined(tested: Subject, directory: SqlDirectory) -> None:
    """A user who has joined since the token gets the room in full, its history included."""
    since = (await tested.sync(BOB)).next_batch
    room_id = await tested.room(ALICE)
    await tested.say(ALICE, room_id, "before")
    await directory.join(BOB, room_id)
    answer = await tested.sync(BOB, since, limit(2))
    assert answer.timeline(room_id) == ["before", "@bob join"]
    assert answer.state(room_id) == FIRST_STATE


async def test_joining_again(tested: Subject, directory: SqlDirectory) -> None:
    """A user who has left and joined again since the token gets the room in full."""
    room_id = await tested.room(ALICE, BOB)
    since = (await tested.sync(BOB)).next_batch
    await directory.leave(BOB, room_id)
    await directory.join(BOB, room_id)
    answer = await tested.sync(BOB, since, limit(1))
    assert answer.timeline(room_id) == ["@bob join"]
    assert answer.state(room_id) == sorted([*FIRST_STATE, "@bob leave"])


async def test_full_state(tested: Subject) -> None:
    """`full_state` brings all rooms with all their state, and only what is new of the timeline."""
    room_id = await tested.room(ALICE)
    since = (await tested.sync(ALICE)).next_batch
    answer = await tested.sync(ALICE, since, full_state=True)
    assert answer.timeline(room_id) == []
    assert answer.state(room_id) == FIRST_STATE


async def test_invites(tested: Subject, directory: SqlDirectory) -> None:
    """An invite shows the room's name and who invites, stripped, and no member or message."""
    since = (await tested.sync(BOB)).next_batch
    room_id = await directory.create_room(
        ALICE, NewRoom(preset="private_chat", name="Kitchen", invite=[BOB])
    )
    await tested.say(ALICE, room_id, "secret")
    for answer in (await tested.sync(BOB, since), await tested.sync(BOB)):
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
        assert (await tested.sync(BOB, answer.next_batch)).rooms == {}


async def test_a_rejected_invite(tested: Subject, directory: SqlDirectory) -> None:
    """A user who rejects an invite sees the leave, and nothing else of the room."""
    room_id = await directory.create_room(ALICE, NewRoom("private_chat", invite=[BOB]))
    since = (await tested.sync(BOB)).next_batch
    await tested.say(ALICE, room_id, "secret")
    await directory.leave(BOB, room_id)
    answer = await tested.sync(BOB, since)
    assert answer.timeline(room_id, "leave") == ["@bob leave"]
    assert answer.state(room_id, "leave") == []
    everything = await tested.sync(BOB, since, full_state=True)
    assert everything.timeline(room_id, "leave") == ["@bob leave"]
    assert everything.state(room_id, "leave") == ["@bob invite"]


async def test_leaving(tested: Subject, directory: SqlDirectory) -> None:
    """A room left since the token is told up to the leave, and not again."""
    room_id = await tested.room(ALICE, BOB)
    since = (await tested.sync(BOB)).next_batch
    await tested.say(ALICE, room_id, "for bob")
    await directory.kick(ALICE, room_id, BOB, None)
    await tested.say(ALICE, room_id, "not for bob")
    answer = await tested.sync(BOB, since)
    assert list(answer.rooms) == ["leave"]
    assert answer.timeline(room_id, "leave") == ["for bob", "@bob leave"]
    assert (await tested.sync(BOB, answer.next_batch)).rooms == {}


async def test_former_rooms(tested: Subject, directory: SqlDirectory) -> None:
    """An initial sync has former rooms where the filter asks for them, up to the leave."""
    room_id = await tested.room(ALICE, BOB)
    await directory.leave(BOB, room_id)
    await tested.say(ALICE, room_id, "not for bob")
    assert (await tested.sync(BOB)).rooms == {}
    answer = await tested.sync(BOB, wanted=limit(1, include_leave=True))
    assert answer.timeline(room_id, "leave") == ["@bob leave"]
    assert answer.state(room_id, "leave") == sorted([*FIRST_STATE, "@bob join"])


async def test_transaction_ids(tested: Subject, directory: SqlDirectory) -> None:
    """The device that sent an event sees its transaction ID, no other device does."""
    room_id = await tested.room(ALICE, BOB)
    since = (await tested.sync(ALICE)).next_batch
    await tested.say(ALICE, room_id, "hello", "txn 1")
    laptop = Requester(ALICE, DeviceId("LAPTOP"))
    seen = []
    for token in (since, None):
        for requester in (on_phone(ALICE), laptop, on_phone(BOB), on_phone(ALICE)):
            answer = await directory.sync_rooms(requester, token, RoomFilter(), full_state=False)
            seen.append(b'"transaction_id":"txn 1"' in bytes(answer.body))
    assert seen == [True, False, False, True] * 2


async def test_account_data(tested: Subject, directory: SqlDirectory) -> None:
    """Account data comes once it is set: global, and with the room it belongs to."""
    room_id = await tested.room(ALICE)
    since = (await tested.sync(ALICE)).next_batch
    await directory.set_account_data(ALICE, None, "m.direct", {"a": 1})
    await directory.set_account_data(ALICE, room_id, "m.tag", {"b": 2})
    delta = await tested.sync(ALICE, since)
    for answer in (delta, await tested.sync(ALICE)):
        assert answer.account_data == {"events": [{"type": "m.direct", "content": {"a": 1}}]}
        assert answer.rooms["join"][room_id]["account_data"] == {
            "events": [{"type": "m.tag", "content": {"b": 2}}]
        }
    assert await tested.sync(ALICE, delta.next_batch) == Answer(delta.next_batch, {}, {})


async def test_account_data_of_a_room_joined_later(
    tested: Subject, directory: SqlDirectory
) -> None:
    """A user who joins a room gets the account data that the user has set for it before."""
    room_id = await tested.room(ALICE)
    await directory.set_account_data(BOB, room_id, "m.tag", {"b": 2})
    since = (await tested.sync(BOB)).next_batch
    await directory.join(BOB, room_id)
    answer = await tested.sync(BOB, since)
    assert answer.rooms["join"][room_id]["account_data"] == {
        "events": [{"type": "m.tag", "content": {"b": 2}}]
    }


@pytest.mark.parametrize(
    "token", ["", "garbage", "0_0", "12345678_3", "_", "s72594_4483_1934", "9" * 400, "٣_٣"]
)
async def test_foreign_tokens(tested: Subject, token: str) -> None:
    """A token that this directory did not give out is answered in full."""
    room_id = await tested.room(ALICE)
    assert (await tested.sync(ALICE, token)).state(room_id) == []
    assert await tested.sync(ALICE, token) == await tested.sync(ALICE)


async def test_tokens_of_the_future(tested: Subject) -> None:
    """A token from a time that a restored backup has undone is answered in full."""
    await tested.room(ALICE)
    incarnation = (await tested.sync(ALICE)).next_batch.partition("_")[0]
    assert await tested.sync(ALICE, f"{incarnation}_999999") == await tested.sync(ALICE)


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
    tested: Subject, directory: SqlDirectory, definition: dict[str, Any], timeline: list[str]
) -> None:
    """A filter picks events by type, with wildcards, by sender and by room."""
    room_id = await tested.room(ALICE, BOB)
    since = (await tested.sync(ALICE)).next_batch
    await tested.say(ALICE, room_id, "one")
    await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "T"})
    await tested.say(BOB, room_id, "two")
    answer = await tested.sync(ALICE, since, RoomFilter(timeline=definition))
    shown = answer.timeline(room_id) if "join" in answer.rooms else []
    assert shown == timeline


async def test_state_left_out_of_the_timeline(tested: Subject, directory: SqlDirectory) -> None:
    """A state change that the timeline's filter leaves out is told as state."""
    room_id = await tested.room(ALICE)
    since = (await tested.sync(ALICE)).next_batch
    await tested.say(ALICE, room_id, "one")
    await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "T"})
    messages = RoomFilter(timeline={"types": ["m.room.message"]})
    answer = await tested.sync(ALICE, since, messages)
    assert (answer.timeline(room_id), answer.state(room_id)) == (["one"], ["topic"])


async def test_other_filters(tested: Subject, directory: SqlDirectory) -> None:
    """State, account data and whole rooms can be filtered as well."""
    wanted, other = await tested.room(ALICE), await tested.room(ALICE)
    for data_type in ("a", "b"):
        await directory.set_account_data(ALICE, None, data_type, {})
        await directory.set_account_data(ALICE, wanted, data_type, {})
    everything = RoomFilter(
        timeline_limit=0,
        rooms=frozenset([wanted, other]),
        not_rooms=frozenset([other]),
        state={"types": ["m.room.create"]},
        account_data={"not_types": ["b"]},
        room_account_data={"types": ["b"]},
    )
    answer = await tested.sync(ALICE, wanted=everything)
    assert list(answer.rooms["join"]) == [wanted]
    assert (answer.timeline(wanted), answer.state(wanted)) == ([], ["create"])
    assert answer.account_data == {"events": [{"type": "a", "content": {}}]}
    room = answer.rooms["join"][wanted]
    assert room["account_data"] == {"events": [{"type": "b", "content": {}}]}
    assert room["timeline"]["limited"] is True


@pytest.mark.parametrize("names", [["x"] * 401, ["*a*a*a*a"]])
async def test_filters_that_cost_too_much(tested: Subject, names: list[str]) -> None:
    """A filter of very many names, or a name of many wildcards, is refused."""
    await refused(InvalidParam, tested.sync(ALICE, wanted=RoomFilter(timeline={"types": names})))


async def test_long_filters(tested: Subject) -> None:
    """A filter that is not refused for its length is one that the database takes."""
    room_id = await tested.room(ALICE)
    names = [f"{n}" for n in range(380)]
    wild = [f"{n}*" for n in range(20)]
    wanted = {"types": [*names, *wild[1:], "*"], "not_types": [*names, *wild]}
    wanted["senders"] = [ALICE, *names, *wild[1:]]
    answer = await tested.sync(ALICE, wanted=RoomFilter(timeline=wanted, state=wanted))
    assert len(answer.timeline(room_id)) == 6


async def test_presence_of_others_is_not_news(tested: Subject, directory: SqlDirectory) -> None:
    """Events in rooms of others are no news: a poll with the user's token reads nothing."""
    room_id = await tested.room(ALICE, BOB)
    since = await tested.sync(CHARLIE)
    tested.recorder.forget()
    await tested.say(ALICE, room_id, "hello")
    assert tested.recorder.news == [{ALICE, BOB}]
    assert directory.rooms_are_quiet(UserId(CHARLIE), since.next_batch)
    assert not directory.rooms_are_quiet(UserId(BOB), since.next_batch)


async def test_bans_and_lifted_bans(tested: Subject, directory: SqlDirectory) -> None:
    """A ban, and its lifting, are shown to the banned as a room they have left."""
    room_id = await tested.room(ALICE, BOB)
    await directory.leave(BOB, room_id)
    since = (await tested.sync(BOB)).next_batch
    await directory.ban(ALICE, room_id, UserId(BOB), None)
    banned = await tested.sync(BOB, since)
    assert banned.timeline(room_id, "leave") == ["@bob ban"]
    await directory.unban(ALICE, room_id, BOB)
    lifted = await tested.sync(BOB, banned.next_batch)
    assert lifted.timeline(room_id, "leave") == ["@bob leave"]


@pytest.mark.parametrize("way", ["first", "incremental", "full state", "left"])
async def test_a_large_answer_comes_in_pieces(
    tested: Subject, directory: SqlDirectory, way: str
) -> None:
    """An answer about rooms is made of pieces that have sixteen events at most."""
    room_id = await tested.room(BOB, ALICE)
    since = (await tested.sync(ALICE)).next_batch
    for number in range(20):
        await directory.set_state(BOB, room_id, "m.a", str(number), {"text": "x" * 5_000})
    for number in range(10):
        content = {"text": "x" * 5_000}
        await directory.send_event(on_phone(BOB), room_id, "m.b", content, str(number))
    if way == "left":
        await directory.leave(ALICE, room_id)
    answer = await directory.sync_rooms(
        on_phone(ALICE),
        None if way == "first" else since,
        RoomFilter(include_leave=True),
        full_state=way == "full state",
    )
    assert isinstance(answer.body, Pieces)
    sizes = list(map(len, answer.body))
    assert (sum(sizes) > 100_000, max(sizes) < 16 * 6_000) == (True, True)

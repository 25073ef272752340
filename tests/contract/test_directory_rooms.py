"""The `Directory` port: rooms, who may do what in them, aliases, events."""

import asyncio

import pytest

from lamplighter.errors import (
    BadJson,
    Forbidden,
    InvalidParam,
    NotFound,
    RoomInUse,
    TooLarge,
    UnknownToken,
)
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import InitialState, NewRoom
from lamplighter.ids import DeviceId, RoomAlias, RoomId, UserId
from lamplighter.ports import Json, MembershipChange, Profile, Requester
from tests.contract.directories import ALICE, BOB, CHARLIE, Subject, in_words, on_phone, refused

pytestmark = pytest.mark.usefixtures("people")

NOWHERE = RoomId("!nowhere:lamp.test")
KITCHEN = RoomAlias("#kitchen:lamp.test")


async def content_of(
    tested: Subject, room_id: RoomId, event_type: str, state_key: str = ""
) -> Json:
    """Return a piece of state of a room that Alice is in."""
    event = await tested.directory.state_event(ALICE, room_id, event_type, state_key)
    content: Json = event["content"]
    return content


@pytest.mark.parametrize(
    ("preset", "join_rule", "guest_access"),
    [
        ("private_chat", "invite", "can_join"),
        ("trusted_private_chat", "invite", "can_join"),
        ("public_chat", "public", "forbidden"),
    ],
)
async def test_presets(
    tested: Subject, directory: SqlDirectory, preset: str, join_rule: str, guest_access: str
) -> None:
    """A preset decides the join rule and guest access; history is shared in all of them."""
    room_id = await tested.room(ALICE, preset=preset)
    state = {e["type"]: e["content"] for e in await directory.state(ALICE, room_id)}
    del state["m.room.power_levels"]
    assert state == {
        "m.room.create": {"creator": ALICE, "room_version": "10"},
        "m.room.member": {"membership": "join"},
        "m.room.join_rules": {"join_rule": join_rule},
        "m.room.history_visibility": {"history_visibility": "shared"},
        "m.room.guest_access": {"guest_access": guest_access},
    }


async def test_room_options(tested: Subject, directory: SqlDirectory) -> None:
    """Name, topic, alias, first state, power levels and creation content are taken over."""
    room = NewRoom(
        preset="private_chat",
        name="Kitchen",
        topic="Cupcakes",
        alias=KITCHEN,
        initial_state=[InitialState("m.room.avatar", {"url": "b"})],
        creation_content={"m.federate": False, "creator": "@mallory:lamp.test"},
        power_level_content_override={"events_default": 10},
    )
    room_id = await directory.create_room(ALICE, room)
    assert await content_of(tested, room_id, "m.room.name") == {"name": "Kitchen"}
    assert await content_of(tested, room_id, "m.room.topic") == {"topic": "Cupcakes"}
    assert await content_of(tested, room_id, "m.room.canonical_alias") == {"alias": KITCHEN}
    assert await content_of(tested, room_id, "m.room.avatar") == {"url": "b"}
    assert (await content_of(tested, room_id, "m.room.power_levels"))["events_default"] == 10
    create = await content_of(tested, room_id, "m.room.create")
    assert create == {"m.federate": False, "creator": ALICE, "room_version": "10"}
    assert await directory.resolve_alias(KITCHEN) == room_id


async def test_invites_at_creation(tested: Subject, directory: SqlDirectory) -> None:
    """Those invited at creation are told so, directly and in trust where it is asked for."""
    room = NewRoom(preset="trusted_private_chat", invite=[BOB, BOB, ALICE], is_direct=True)
    tested.recorder.forget()
    room_id = await directory.create_room(ALICE, room)
    invite = await content_of(tested, room_id, "m.room.member", BOB)
    assert invite == {"membership": "invite", "is_direct": True}
    levels = await content_of(tested, room_id, "m.room.power_levels")
    assert levels["users"] == {ALICE: 100, BOB: 100}
    assert tested.recorder.memberships == [MembershipChange(room_id, ALICE, True)]
    assert tested.recorder.news == [{ALICE, BOB}]


@pytest.mark.parametrize(
    ("room", "error"),
    [
        (NewRoom(preset="party"), InvalidParam),
        (NewRoom("public_chat", alias=RoomAlias("#a:elsewhere.test")), InvalidParam),
        (NewRoom("public_chat", alias=KITCHEN), RoomInUse),
        (NewRoom("public_chat", invite=[UserId(f"@u{n}:lamp.test") for n in range(101)]),
         InvalidParam),
        (NewRoom("public_chat", invite=[UserId("@nobody:lamp.test")]), NotFound),
        (NewRoom("public_chat", invite=[UserId("@bob:elsewhere.test")]), Forbidden),
        (NewRoom("public_chat", name="x" * (64 * 1024)), TooLarge),
        (NewRoom("public_chat", power_level_content_override={"ban": "high"}), BadJson),
        (NewRoom("public_chat", power_level_content_override={"users": []}), BadJson),
        (NewRoom("public_chat", initial_state=[InitialState("a" * 256, {})]), TooLarge),
        (NewRoom("public_chat", initial_state=[InitialState("a", {})] * 101), InvalidParam),
        (NewRoom("public_chat", initial_state=[InitialState("m.room.member", {})]), InvalidParam),
        (NewRoom("public_chat", initial_state=[
            InitialState("m.room.join_rules", {"join_rule": "knock"})]), InvalidParam),
    ],
)  # fmt: skip
async def test_rooms_nobody_gets(
    tested: Subject, directory: SqlDirectory, room: NewRoom, error: type[Exception]
) -> None:
    """A room that cannot be as it is asked for does not come to be at all."""
    first = await directory.create_room(ALICE, NewRoom("public_chat", alias=KITCHEN))
    tested.recorder.forget()
    await refused(error, directory.create_room(ALICE, room))
    assert await directory.joined_rooms(ALICE) == [first]
    assert (tested.recorder.told, tested.recorder.news) == ([], [])


async def test_joining(tested: Subject, directory: SqlDirectory) -> None:
    """Anybody joins a public room, once; members and the joiner hear of it."""
    room_id = await tested.room(ALICE)
    tested.recorder.forget()
    await directory.join(BOB, room_id)
    await directory.join(BOB, room_id)
    assert tested.recorder.memberships == [MembershipChange(room_id, BOB, True)]
    assert tested.recorder.news == [{ALICE, BOB}]
    assert await directory.joined_rooms(BOB) == [room_id]
    await refused(NotFound, directory.join(BOB, NOWHERE))


async def test_private_rooms(tested: Subject, directory: SqlDirectory) -> None:
    """A private room takes those who are invited; an invite makes no member of anybody."""
    room_id = await tested.room(ALICE, preset="private_chat")
    await refused(Forbidden, directory.join(BOB, room_id))
    tested.recorder.forget()
    await directory.invite(ALICE, room_id, BOB)
    await directory.invite(ALICE, room_id, BOB)
    assert tested.recorder.memberships == []
    assert tested.recorder.news == [{ALICE, BOB}]
    assert await directory.joined_rooms(BOB) == []
    await refused(Forbidden, directory.invite(BOB, room_id, CHARLIE))
    await directory.join(BOB, room_id)
    assert await directory.joined_members(BOB, room_id) == {
        ALICE: Profile(None, None),
        BOB: Profile(None, None),
    }


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("@alice:lamp.test", Forbidden),
        ("@nobody:lamp.test", NotFound),
        ("@bob:elsewhere.test", Forbidden),
    ],
)
async def test_useless_invites(
    tested: Subject, directory: SqlDirectory, target: str, error: type[Exception]
) -> None:
    """Members, unknown users and users of other servers cannot be invited."""
    room_id = await tested.room(ALICE)
    await refused(error, directory.invite(ALICE, room_id, UserId(target)))


async def test_leaving(tested: Subject, directory: SqlDirectory) -> None:
    """Leaving ends a membership or an invite, harmlessly twice, and can be undone by a join."""
    room_id = await tested.room(ALICE, BOB)
    tested.recorder.forget()
    await directory.leave(BOB, room_id)
    await directory.leave(BOB, room_id)
    assert tested.recorder.news == [{ALICE, BOB}]
    await directory.invite(ALICE, room_id, BOB)
    await directory.leave(BOB, room_id)
    assert tested.recorder.memberships == [MembershipChange(room_id, BOB, False)]
    await directory.join(BOB, room_id)
    assert await directory.joined_rooms(BOB) == [room_id]
    for stranger, room in ((CHARLIE, room_id), (BOB, NOWHERE)):
        await refused(Forbidden, directory.leave(stranger, room))


async def test_kicking(tested: Subject, directory: SqlDirectory) -> None:
    """A kick needs more power than its target has, and takes invites back too."""
    room_id = await tested.room(ALICE, BOB)
    await refused(Forbidden, directory.kick(BOB, room_id, ALICE, None))
    await refused(Forbidden, directory.kick(ALICE, room_id, CHARLIE, None))
    await directory.invite(ALICE, room_id, CHARLIE)
    tested.recorder.forget()
    await directory.kick(ALICE, room_id, CHARLIE, None)
    await directory.kick(ALICE, room_id, BOB, "noise")
    assert tested.recorder.memberships == [MembershipChange(room_id, BOB, False)]
    kicked = await content_of(tested, room_id, "m.room.member", BOB)
    assert kicked == {"membership": "leave", "reason": "noise"}
    await directory.join(BOB, room_id)


async def test_banning(tested: Subject, directory: SqlDirectory) -> None:
    """A ban makes a member leave and keeps it out, until it is lifted."""
    room_id = await tested.room(ALICE, BOB, CHARLIE)
    await refused(Forbidden, directory.ban(BOB, room_id, CHARLIE, None))
    tested.recorder.forget()
    await directory.ban(ALICE, room_id, BOB, None)
    assert tested.recorder.memberships == [MembershipChange(room_id, BOB, False)]
    await refused(Forbidden, directory.join(BOB, room_id))
    await refused(Forbidden, directory.leave(BOB, room_id))
    await refused(Forbidden, directory.invite(ALICE, room_id, BOB))
    await refused(Forbidden, directory.kick(ALICE, room_id, BOB, None))
    await refused(Forbidden, directory.unban(CHARLIE, room_id, BOB))
    await directory.unban(ALICE, room_id, BOB)
    await refused(Forbidden, directory.unban(ALICE, room_id, BOB))
    await directory.join(BOB, room_id)
    assert await directory.joined_rooms(BOB) == [room_id]


async def test_aliases(tested: Subject, directory: SqlDirectory) -> None:
    """A room gets names of this server, each once; its giver or a moderator takes one back."""
    room_id = await tested.room(ALICE, BOB, CHARLIE)
    await refused(NotFound, directory.resolve_alias(KITCHEN))
    await directory.set_alias(BOB, KITCHEN, room_id)
    assert await directory.resolve_alias(KITCHEN) == room_id
    await refused(RoomInUse, directory.set_alias(ALICE, KITCHEN, room_id))
    await refused(InvalidParam, directory.set_alias(ALICE, RoomAlias("#a:elsewhere.test"), room_id))
    await refused(Forbidden, directory.set_alias(ALICE, RoomAlias("#a:lamp.test"), NOWHERE))
    await refused(Forbidden, directory.delete_alias(CHARLIE, KITCHEN))
    await directory.delete_alias(BOB, KITCHEN)
    await directory.set_alias(BOB, KITCHEN, room_id)
    await directory.delete_alias(ALICE, KITCHEN)
    await refused(NotFound, directory.delete_alias(ALICE, KITCHEN))


async def test_a_transaction_sends_once(tested: Subject, directory: SqlDirectory) -> None:
    """However often a device repeats a transaction, at once or later, it sends one event."""
    room_id = await tested.room(ALICE)
    sent = await asyncio.gather(*(tested.say(ALICE, room_id, "hello", "1") for _ in range(5)))
    laptop = await directory.log_in(ALICE, device_id=DeviceId("LAPTOP"))
    other = await directory.send_event(
        Requester(ALICE, laptop.device_id), room_id, "m.room.message", {"body": "hi"}, "1"
    )
    assert len({*sent, await tested.say(ALICE, room_id, "hello", "1")}) == 1
    assert other != sent[0]
    assert (await tested.sync(ALICE)).timeline(room_id)[-2:] == ["hello", "hi"]


async def test_who_may_speak(tested: Subject, directory: SqlDirectory) -> None:
    """Strangers, the muted, and devices that have logged out send nothing."""
    room_id = await tested.room(ALICE)
    for room in (room_id, NOWHERE):
        await refused(Forbidden, tested.say(BOB, room, "hello"))
    await directory.join(BOB, room_id)
    muting = {"users": {ALICE: 100}, "events_default": 10}
    await directory.set_state(ALICE, room_id, "m.room.power_levels", "", muting)
    await refused(Forbidden, tested.say(BOB, room_id, "hello"))
    await directory.log_out(on_phone(ALICE))
    await refused(UnknownToken, tested.say(ALICE, room_id, "hello"))


async def test_state(tested: Subject, directory: SqlDirectory) -> None:
    """State is set by those with the power for it, and read by members."""
    room_id = await tested.room(ALICE, BOB)
    event_id = await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "K"})
    tested.clock.advance(seconds=1)
    assert await directory.state_event(BOB, room_id, "m.room.name", "") == {
        "type": "m.room.name",
        "state_key": "",
        "sender": ALICE,
        "room_id": room_id,
        "content": {"name": "K"},
        "event_id": event_id,
        "origin_server_ts": tested.clock.now() - 1000,
        "unsigned": {"age": 1000},
    }
    await refused(Forbidden, directory.set_state(BOB, room_id, "m.room.name", "", {}))
    await refused(NotFound, directory.state_event(BOB, room_id, "m.room.topic", ""))
    for room in (room_id, NOWHERE):
        await refused(Forbidden, directory.state(CHARLIE, room))
        await refused(Forbidden, directory.joined_members(CHARLIE, room))


@pytest.mark.parametrize(
    ("event_type", "state_key", "content", "error"),
    [
        ("m.room.create", "", {}, Forbidden),
        ("m.room.join_rules", "", {"join_rule": "restricted"}, InvalidParam),
        ("m.room.join_rules", "", {}, BadJson),
        ("m.room.power_levels", "", {"users": {"@alice:lamp.test": "100"}}, BadJson),
        ("m.room.power_levels", "", {"users": {"@alice:lamp.test": 101}}, Forbidden),
        ("a", "@bob:lamp.test", {}, Forbidden),
        ("t" * 256, "", {}, TooLarge),
        ("a", "k" * 256, {}, TooLarge),
        ("a", "\0", {}, InvalidParam),
        ("a", "", {"x": "y" * (64 * 1024)}, TooLarge),
        ("m.room.member", "@alice:lamp.test", {}, BadJson),
        ("m.room.member", "alice", {"membership": "leave"}, InvalidParam),
        ("m.room.member", "@bob:lamp.test", {"membership": "join"}, Forbidden),
    ],
)
async def test_state_nobody_can_set(
    tested: Subject,
    directory: SqlDirectory,
    event_type: str,
    state_key: str,
    content: Json,
    error: type[Exception],
) -> None:
    """State that breaks the rules or is too large is refused, and nothing of it stays."""
    room_id = await tested.room(ALICE)
    before = list(await directory.state(ALICE, room_id))
    await refused(error, directory.set_state(ALICE, room_id, event_type, state_key, content))
    assert list(await directory.state(ALICE, room_id)) == before


async def test_membership_by_state(tested: Subject, directory: SqlDirectory) -> None:
    """Setting an `m.room.member` event does what its membership says, and keeps its content."""
    room_id = await tested.room(ALICE)

    async def member(sender: UserId, target: UserId, **content: str) -> Json:
        await directory.set_state(sender, room_id, "m.room.member", target, content)
        return await content_of(tested, room_id, "m.room.member", target)

    invited = await member(ALICE, BOB, membership="invite", reason="tea")
    assert invited == {"membership": "invite", "reason": "tea"}
    joined = await member(BOB, BOB, membership="join", displayname="Bob here")
    assert joined == {"membership": "join", "displayname": "Bob here"}
    assert (await member(ALICE, BOB, membership="leave")) == {"membership": "leave"}
    assert (await member(ALICE, BOB, membership="ban")) == {"membership": "ban"}
    assert (await member(ALICE, BOB, membership="leave")) == {"membership": "leave"}
    assert tested.recorder.memberships[1:] == [
        MembershipChange(room_id, BOB, True),
        MembershipChange(room_id, BOB, False),
    ]


async def test_former_members(tested: Subject, directory: SqlDirectory) -> None:
    """A former member sees the room as it was at the leave."""
    room_id = await tested.room(ALICE, BOB)
    await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "then"})
    await directory.leave(BOB, room_id)
    await directory.set_state(ALICE, room_id, "m.room.name", "", {"name": "now"})
    await directory.set_state(ALICE, room_id, "m.room.topic", "", {"topic": "now"})
    name = await directory.state_event(BOB, room_id, "m.room.name", "")
    assert name["content"] == {"name": "then"}
    assert "m.room.topic" not in {e["type"] for e in await directory.state(BOB, room_id)}
    await refused(Forbidden, directory.joined_members(BOB, room_id))


async def test_room_initial_sync(tested: Subject, directory: SqlDirectory) -> None:
    """The old initial sync of a room holds its state, its last messages and private data."""
    room_id = await tested.room(ALICE, BOB)
    await tested.say(ALICE, room_id, "one")
    await tested.say(ALICE, room_id, "two")
    await directory.set_account_data(BOB, room_id, "m.tag", {"tags": {}})
    answer = await directory.room_initial_sync(BOB, room_id, 1)
    assert [in_words(event) for event in answer["messages"]["chunk"]] == ["two"]
    assert "@bob join" in [in_words(event) for event in answer["state"]]
    del answer["messages"], answer["state"]
    assert answer == {
        "room_id": room_id,
        "membership": "join",
        "account_data": [{"type": "m.tag", "content": {"tags": {}}}],
    }
    await refused(Forbidden, directory.room_initial_sync(CHARLIE, room_id, 1))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], set()),
        ([("m.room.create", "")], {"create"}),
        ([("m.room.member", None)], {"@alice join", "@bob join"}),
        ([("m.room.member", "@bob:lamp.test"), ("m.room.create", None)], {"@bob join", "create"}),
    ],
)
async def test_state_for_modules(
    tested: Subject, directory: SqlDirectory, wanted: list[tuple[str, str | None]], found: set[str]
) -> None:
    """Modules read the state they name, of any room, with one state key or all."""
    room_id = await tested.room(ALICE, BOB)
    events = await directory.state_for_modules(room_id, wanted)
    assert {in_words(event) for event in events} == found
    everything = await directory.state_for_modules(room_id, None)
    assert list(everything) == list(await directory.state(ALICE, room_id))
    assert await directory.state_for_modules(NOWHERE, None) == []

"""The `Directory` port: accounts, devices, tokens, profiles and what clients keep."""

import asyncio
from datetime import timedelta

import pytest

from lamplighter.clock import after
from lamplighter.errors import (
    BadJson,
    Forbidden,
    InvalidParam,
    InvalidUsername,
    NotFound,
    TooLarge,
    UnknownToken,
    UserDeactivated,
    UserInUse,
)
from lamplighter.homeserver.values import Login, NewRoom
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import (
    Account,
    DeviceRecord,
    MembershipChange,
    Profile,
    Requester,
)
from tests.contract.directories import ALICE, BOB, CHARLIE, PHONE, Subject, on_phone

#: For limits whose proof takes hundreds of writes, and which no engine has a part in.
on_one_engine = pytest.mark.parametrize("open_database", ["sqlite-memory"], indirect=True)


async def test_registering_logs_in(tested: Subject) -> None:
    """Who registers gets a device and a token that is theirs."""
    login = await tested.directory.register("alice", "secret", device_id=PHONE, is_admin=True)
    assert login == Login(ALICE, PHONE, login.access_token)
    assert await tested.directory.authenticate(login.access_token) == Requester(ALICE, PHONE)
    assert await tested.directory.account(ALICE) == Account(ALICE, tested.clock.now(), True, False)


async def test_accounts_in_order(tested: Subject) -> None:
    """Accounts are listed by their user IDs, part by part, those that are deactivated too."""
    for name in ("carol", "alice", "bob"):
        await tested.directory.register(name, None)
    await tested.directory.deactivate(BOB)
    first = await tested.directory.accounts(None, 2)
    assert first == [await tested.directory.account(user_id) for user_id in (ALICE, BOB)]
    assert [it.is_deactivated for it in first] == [False, True]
    rest = await tested.directory.accounts(BOB, 2)
    assert [it.user_id for it in rest] == [UserId("@carol:lamp.test")]


async def test_accounts_by_a_part_of_the_name(tested: Subject) -> None:
    """Accounts are found by a part of the localpart or display name, never by the server's name."""
    for name in ("carol", "alice", "bob", "x_y"):
        await tested.directory.register(name, None)
    await tested.directory.set_displayname(BOB, "Caro%line")

    async def found(containing: str) -> list[str]:
        return [it.user_id for it in await tested.directory.accounts(None, 9, containing)]

    assert await found("caro") == [BOB, "@carol:lamp.test"]
    assert (await found("O%L"), await found("_"), await found("lamp")) == (
        [BOB],
        ["@x_y:lamp.test"],
        [],
    )


async def test_chosen_localparts(tested: Subject) -> None:
    """Without a localpart one is chosen, another one each time."""
    logins = [await tested.directory.register(None, None) for _ in range(3)]
    assert len({login.user_id for login in logins}) == 3


async def test_a_name_is_taken_once(tested: Subject) -> None:
    """Of many who register one name at the same time, one gets it and the others hear why not."""
    tries = [tested.directory.register("alice", None) for _ in range(5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Login"] + ["UserInUse"] * 4


@pytest.mark.parametrize("name", ["Alice", "a b", "", "é", "a:b", "x" * 256, "\ud800"])
async def test_names_nobody_can_have(tested: Subject, name: str) -> None:
    """A localpart outside the grammar is refused."""
    with pytest.raises(InvalidUsername):
        await tested.directory.check_available(name)
    with pytest.raises(InvalidUsername):
        await tested.directory.register(name, None)


async def test_availability(tested: Subject) -> None:
    """A name is available until somebody has it."""
    await tested.directory.check_available("alice")
    await tested.users("alice")
    with pytest.raises(UserInUse):
        await tested.directory.check_available("alice")


async def test_passwords(tested: Subject) -> None:
    """Only the right password of an existing user is accepted; all else is the same error."""
    await tested.directory.register("alice", "right")
    await tested.directory.register("bob", None)
    await tested.directory.check_password(ALICE, "right")
    messages = set()
    await tested.directory.register("charlie", "right")
    await tested.directory.deactivate(CHARLIE)
    refusals = (ALICE, "wrong"), (BOB, ""), (CHARLIE, "right"), (UserId("@no:lamp.test"), "right")
    for user_id, password in refusals:
        with pytest.raises(Forbidden) as refused:
            await tested.directory.check_password(user_id, password)
        messages.add(str(refused.value))
    assert len(messages) == 1


@pytest.mark.parametrize("password", ["x" * 513, "é" * 257])
async def test_long_passwords(tested: Subject, password: str) -> None:
    """A password of more than 512 bytes is not taken."""
    with pytest.raises(TooLarge):
        await tested.directory.register("alice", password)


async def test_a_new_login_replaces_the_devices_token(tested: Subject) -> None:
    """Logging in again on a device revokes its old token, keeps its name, and loses no device."""
    first = await tested.directory.register("alice", None, device_id=PHONE, device_name="phone")
    await tested.directory.authenticate(first.access_token)
    tested.recorder.forget()
    second = await tested.directory.log_in(ALICE, device_id=PHONE, device_name="other")
    with pytest.raises(UnknownToken):
        await tested.directory.authenticate(first.access_token)
    assert await tested.directory.authenticate(second.access_token) == Requester(ALICE, PHONE)
    assert [d.display_name for d in await tested.directory.devices(ALICE)] == ["phone"]
    assert tested.recorder.told == [("tokens_revoked", (ALICE, [PHONE]))]


async def test_unknown_users_cannot_log_in(tested: Subject) -> None:
    """There is no device without a user."""
    with pytest.raises(NotFound):
        await tested.directory.log_in(ALICE)


async def test_logging_out(tested: Subject) -> None:
    """Logging out revokes the token, deletes the device, and is told."""
    login = await tested.directory.register("alice", None, device_id=PHONE)
    requester = await tested.directory.authenticate(login.access_token)
    await tested.directory.log_out(requester)
    with pytest.raises(UnknownToken):
        await tested.directory.authenticate(login.access_token)
    assert await tested.directory.devices(ALICE) == []
    assert tested.recorder.told == [("devices_gone", (ALICE, [PHONE]))]


async def test_logging_out_everywhere(tested: Subject) -> None:
    """Logging out of all devices leaves those of other users alone."""
    phone = await tested.directory.register("alice", None, device_id=PHONE)
    laptop = await tested.directory.log_in(ALICE, device_id=DeviceId("LAPTOP"))
    bob = await tested.directory.register("bob", None, device_id=PHONE)
    await tested.directory.log_out_all(ALICE)
    for login in (phone, laptop):
        with pytest.raises(UnknownToken):
            await tested.directory.authenticate(login.access_token)
    assert await tested.directory.authenticate(bob.access_token) == Requester(BOB, PHONE)
    assert tested.recorder.told == [("devices_gone", (ALICE, ["LAPTOP", PHONE]))]


async def test_devices(tested: Subject) -> None:
    """A device can be listed, renamed and deleted; one that is not there cannot be renamed."""
    login = await tested.directory.register("alice", None, device_id=PHONE, device_name="old")
    tested.clock.advance(hours=1)
    await tested.directory.authenticate(login.access_token)
    await tested.directory.rename_device(ALICE, PHONE, "new")
    record = DeviceRecord(PHONE, "new", tested.clock.now())
    assert await tested.directory.device(ALICE, PHONE) == record
    assert await tested.directory.devices(ALICE) == [record]
    await tested.directory.delete_devices(ALICE, [PHONE])
    await tested.directory.delete_devices(ALICE, [PHONE])
    assert tested.recorder.told == [("devices_gone", (ALICE, [PHONE]))]
    with pytest.raises(NotFound):
        await tested.directory.rename_device(ALICE, PHONE, "newer")
    with pytest.raises(NotFound):
        await tested.directory.device(ALICE, PHONE)


async def test_several_devices_are_deleted_together(tested: Subject) -> None:
    """Those that are there are gone at once, and told once; names of others change nothing."""
    await tested.users("alice")
    for name in ("LAPTOP", "WATCH"):
        await tested.directory.log_in(ALICE, device_id=DeviceId(name))
    names = [DeviceId(f"no {number}") for number in range(40_000)]
    await tested.directory.delete_devices(ALICE, [*names, DeviceId("WATCH"), PHONE, PHONE])
    assert [it.device_id for it in await tested.directory.devices(ALICE)] == ["LAPTOP"]
    assert tested.recorder.told == [("devices_gone", (ALICE, ["PHONE", "WATCH"]))]
    await tested.directory.delete_devices(ALICE, [])
    assert len(await tested.directory.devices(ALICE)) == 1


async def test_device_limits(tested: Subject) -> None:
    """Device IDs and names have a length, whoever sets them."""
    await tested.users("alice")
    with pytest.raises(TooLarge):
        await tested.directory.log_in(ALICE, device_id=DeviceId("x" * 256))
    with pytest.raises(TooLarge):
        await tested.directory.log_in(ALICE, device_name="x" * 101)
    with pytest.raises(TooLarge):
        await tested.directory.rename_device(ALICE, PHONE, "x" * 101)
    with pytest.raises(InvalidParam):
        await tested.directory.log_in(ALICE, device_name="\ud800")
    assert [d.device_id for d in await tested.directory.devices(ALICE)] == [PHONE]


async def test_profiles(tested: Subject) -> None:
    """A profile starts empty, holds what is set, and is emptied again."""
    await tested.users("alice")
    assert await tested.directory.profile(ALICE) == Profile(None, None)
    await tested.directory.set_displayname(ALICE, "Alice")
    await tested.directory.set_avatar_url(ALICE, "mxc://lamp.test/a")
    assert await tested.directory.profile(ALICE) == Profile("Alice", "mxc://lamp.test/a")
    await tested.directory.set_displayname(ALICE, "")
    await tested.directory.set_avatar_url(ALICE, None)
    assert await tested.directory.profile(ALICE) == Profile(None, None)
    with pytest.raises(NotFound):
        await tested.directory.profile(BOB)


async def test_profile_limits(tested: Subject) -> None:
    """A display name has at most 256 characters, an avatar's URL at most 1000."""
    await tested.users("alice")
    with pytest.raises(TooLarge):
        await tested.directory.set_displayname(ALICE, "x" * 257)
    with pytest.raises(TooLarge):
        await tested.directory.set_avatar_url(ALICE, "x" * 1001)
    with pytest.raises(InvalidParam):
        await tested.directory.set_displayname(ALICE, "\ud800")
    assert await tested.directory.profile(ALICE) == Profile(None, None)


async def test_a_profile_change_is_shown_in_rooms(tested: Subject) -> None:
    """A new display name is a new member event in every room, and no change of membership."""
    alice, bob = await tested.users("alice", "bob")
    room_id = await tested.room(alice, bob)
    tested.recorder.forget()
    await tested.directory.set_displayname(alice, "Alice")
    member = await tested.directory.state_event(bob, room_id, "m.room.member", alice)
    assert member["content"] == {"membership": "join", "displayname": "Alice"}
    assert member["unsigned"]["prev_content"] == {"membership": "join"}
    assert tested.recorder.memberships == []
    assert tested.recorder.news == [{alice, bob}]
    assert await tested.directory.joined_members(bob, room_id) == {
        alice: Profile("Alice", None),
        bob: Profile(None, None),
    }


async def test_account_data(tested: Subject) -> None:
    """Account data is kept by user, room and type; the user is told, nobody else."""
    alice, bob = await tested.users("alice", "bob")
    room_id = RoomId("!a:lamp.test")
    await tested.directory.set_account_data(alice, None, "m.direct", {"a": 1})
    await tested.directory.set_account_data(alice, room_id, "m.direct", {"b": 2})
    await tested.directory.set_account_data(alice, None, "m.direct", {"a": 3})
    assert await tested.directory.account_data(alice, None, "m.direct") == {"a": 3}
    assert await tested.directory.account_data(alice, room_id, "m.direct") == {"b": 2}
    assert await tested.directory.account_data(bob, None, "m.direct") is None
    assert tested.recorder.news == [{alice}] * 3


async def test_filters(tested: Subject) -> None:
    """A filter has an ID, the same one for the same filter, and belongs to its user."""
    await tested.users("alice", "bob")
    first = await tested.directory.save_filter(ALICE, {"room": {"timeline": {"limit": 3}}, "x": 1})
    again = await tested.directory.save_filter(ALICE, {"x": 1, "room": {"timeline": {"limit": 3}}})
    other = await tested.directory.save_filter(ALICE, {})
    assert first == again != other
    assert not first.startswith("{")
    assert await tested.directory.filter(ALICE, first) == {
        "room": {"timeline": {"limit": 3}},
        "x": 1,
    }
    for user_id, filter_id in ((BOB, first), (ALICE, "no"), (ALICE, "")):
        with pytest.raises(NotFound):
            await tested.directory.filter(user_id, filter_id)


async def test_json_limits(tested: Subject) -> None:
    """What a client keeps is at most 64 KiB and is JSON."""
    await tested.users("alice")
    large = {"x": "y" * (64 * 1024)}
    with pytest.raises(TooLarge):
        await tested.directory.save_filter(ALICE, large)
    with pytest.raises(TooLarge):
        await tested.directory.set_account_data(ALICE, None, "a", large)
    with pytest.raises(TooLarge):
        await tested.directory.set_account_data(ALICE, None, "t" * 256, {})
    with pytest.raises(BadJson):
        await tested.directory.set_account_data(ALICE, None, "a", {"x": "\ud800"})
    assert await tested.directory.account_data(ALICE, None, "a") is None


async def test_deactivation(tested: Subject) -> None:
    """Deactivation logs out, leaves the rooms, and clears everything, told in that order."""
    alice = (await tested.directory.register("alice", "secret", device_id=PHONE)).user_id
    (bob,) = await tested.users("bob")
    room_id = await tested.room(bob, alice)
    invited_to = await tested.directory.create_room(
        bob, NewRoom(preset="private_chat", invite=[alice])
    )
    await tested.directory.set_displayname(alice, "Alice")
    await tested.directory.set_account_data(alice, None, "a", {"b": 1})
    filter_id = await tested.directory.save_filter(alice, {})
    tested.recorder.forget()
    await tested.directory.deactivate(alice)
    assert tested.recorder.told == [
        ("devices_gone", (alice, [PHONE])),
        ("user_deactivated", alice),
        ("memberships_changed", 1),
    ]
    assert tested.recorder.memberships == [MembershipChange(room_id, alice, False)]
    assert await tested.directory.profile(alice) == Profile(None, None)
    assert await tested.directory.account_data(alice, None, "a") is None
    with pytest.raises(NotFound):
        await tested.directory.filter(alice, filter_id)
    for room in (room_id, invited_to):
        member = await tested.directory.state_event(bob, room, "m.room.member", alice)
        assert member["content"] == {"membership": "leave"}
    account = await tested.directory.account(alice)
    assert account is not None
    assert account.is_deactivated


async def test_after_deactivation(tested: Subject) -> None:
    """A deactivated user cannot come back in any way, and the name stays taken."""
    alice = (await tested.directory.register("alice", "secret", device_id=PHONE)).user_id
    (bob,) = await tested.users("bob")
    room_id = await tested.room(bob)
    await tested.directory.deactivate(alice)
    with pytest.raises(UserInUse):
        await tested.directory.register("alice", None)
    with pytest.raises(Forbidden):
        await tested.directory.check_password(alice, "secret")
    with pytest.raises(UserDeactivated):
        await tested.directory.log_in(alice)
    with pytest.raises(UserDeactivated):
        await tested.directory.join(alice, room_id)
    with pytest.raises(UserDeactivated):
        await tested.directory.set_displayname(alice, "ghost")
    with pytest.raises(UserDeactivated):
        await tested.directory.set_account_data(alice, None, "a", {})
    with pytest.raises(UserDeactivated):
        await tested.directory.deactivate(alice)
    with pytest.raises(Forbidden):
        await tested.directory.invite(bob, room_id, alice)
    with pytest.raises(UnknownToken):
        await tested.directory.send_event(on_phone(alice), room_id, "m.room.message", {}, "1")


async def test_what_a_vanished_caller_began_is_told(tested: Subject) -> None:
    """A request that is cancelled in the middle of its write is still stored and told whole."""
    alice, bob = await tested.users("alice", "bob")
    room_id = await tested.room(alice)
    tested.recorder.forget()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await tested.directory.join(bob, room_id)
    await tested.say(alice, room_id, "next in the queue")
    assert tested.recorder.memberships == [MembershipChange(room_id, bob, True)]
    assert set(await tested.directory.joined_members(alice, room_id)) == {alice, bob}


async def test_members_since(tested: Subject) -> None:
    """Every standing join is listed with the instant it began; a new profile does not move it."""
    alice, bob = await tested.users("alice", "bob")
    start = tested.clock.now()
    room_id = await tested.room(alice)
    tested.clock.advance(minutes=1)
    await tested.directory.join(bob, room_id)
    tested.clock.advance(minutes=1)
    await tested.directory.set_displayname(bob, "Bob")
    found = {(m.room_id, m.user_id, m.since) for m in await tested.directory.members()}
    joined = after(start, timedelta(minutes=1))
    assert found == {(room_id, alice, start), (room_id, bob, joined)}
    await tested.directory.leave(bob, room_id)
    tested.clock.advance(minutes=1)
    await tested.directory.join(bob, room_id)
    again = {m.user_id: m.since for m in await tested.directory.members()}
    assert again == {alice: start, bob: tested.clock.now()}


async def test_many_rooms_are_written_in_turns(tested: Subject) -> None:
    """Who has many rooms and a new name does not keep others from writing meanwhile."""
    alice, bob = await tested.users("alice", "bob")
    rooms = [await tested.room(alice) for _ in range(45)]
    tested.recorder.forget()
    await asyncio.gather(
        tested.directory.set_displayname(alice, "Alice"),
        tested.directory.set_account_data(bob, None, "a", {}),
    )
    assert tested.recorder.news == [{bob}, {alice}, {alice}, {alice}]
    shown = [await tested.directory.joined_members(alice, room) for room in rooms]
    assert shown == [{alice: Profile("Alice", None)}] * 45


async def test_a_profile_is_shown_where_another_is(tested: Subject) -> None:
    """The same name once more is an event only in rooms that show another one."""
    (alice,) = await tested.users("alice")
    one, other = [await tested.room(alice) for _ in range(2)]
    await tested.directory.set_displayname(alice, "Alice")
    tested.recorder.forget()
    await tested.directory.set_displayname(alice, "Alice")
    assert tested.recorder.news == []
    as_al = {"membership": "join", "displayname": "Al"}
    await tested.directory.set_state(alice, one, "m.room.member", alice, as_al)
    in_other = await tested.directory.state_event(alice, other, "m.room.member", alice)
    await tested.directory.set_displayname(alice, "Alice")
    assert await tested.directory.joined_members(alice, one) == {alice: Profile("Alice", None)}
    assert await tested.directory.state_event(alice, other, "m.room.member", alice) == in_other


async def test_deactivation_with_many_rooms(tested: Subject) -> None:
    """Who closes an account with many rooms leaves them in turns, all of them."""
    alice, _ = await tested.users("alice", "bob")
    for _ in range(45):
        await tested.room(alice)
    tested.recorder.forget()
    await tested.directory.deactivate(alice)
    assert tested.recorder.told == [
        ("devices_gone", (alice, [PHONE])),
        ("user_deactivated", alice),
        ("memberships_changed", 20),
        ("memberships_changed", 20),
        ("memberships_changed", 5),
    ]
    assert await tested.directory.joined_rooms(alice) == []


@on_one_engine
async def test_too_many_devices(tested: Subject) -> None:
    """Of more than 200 devices the one unused longest is deleted, and its token with it."""
    first = await tested.directory.register("alice", None, device_id=PHONE)
    unused = await tested.directory.log_in(ALICE, device_id=DeviceId("UNUSED"))
    for _ in range(198):
        tested.clock.advance(seconds=1)
        await tested.directory.log_in(ALICE)
    await tested.directory.authenticate(first.access_token)
    tested.recorder.forget()
    await tested.directory.log_in(ALICE, device_id=PHONE)
    assert tested.recorder.told == [("tokens_revoked", (ALICE, [PHONE]))]
    tested.recorder.forget()
    await tested.directory.log_in(ALICE)
    assert tested.recorder.told == [("devices_gone", (ALICE, ["UNUSED"]))]
    assert len(await tested.directory.devices(ALICE)) == 200
    with pytest.raises(UnknownToken):
        await tested.directory.authenticate(unused.access_token)


@on_one_engine
async def test_too_much_account_data(tested: Subject) -> None:
    """There are 500 types of global account data, as many of a room, and 2000 of a user."""
    await tested.users("alice")

    async def fill(room_id: RoomId | None) -> None:
        for number in range(500):
            await tested.directory.set_account_data(ALICE, room_id, f"t{number}", {})

    await fill(None)
    with pytest.raises(TooLarge, match="you have 500 types here already"):
        await tested.directory.set_account_data(ALICE, None, "t500", {})
    await tested.directory.set_account_data(ALICE, None, "t7", {"a": 1})
    for room in "abc":
        await fill(RoomId(f"!{room}:lamp.test"))
    with pytest.raises(TooLarge, match="you have 2000 types in all your rooms already"):
        await tested.directory.set_account_data(ALICE, RoomId("!d:lamp.test"), "t", {})
    assert await tested.directory.account_data(ALICE, None, "t7") == {"a": 1}


@on_one_engine
async def test_too_many_filters(tested: Subject) -> None:
    """A user has up to 500 filters; one that is there can be uploaded again."""
    await tested.users("alice")
    ids = [await tested.directory.save_filter(ALICE, {"n": number}) for number in range(500)]
    with pytest.raises(TooLarge, match="you have 500 already"):
        await tested.directory.save_filter(ALICE, {"n": 500})
    assert await tested.directory.save_filter(ALICE, {"n": 3}) == ids[3]

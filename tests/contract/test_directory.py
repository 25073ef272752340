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
from tests.contract.directories import ALICE, BOB, CHARLIE, PHONE, Town, on_phone

#: For limits whose proof takes hundreds of writes, and which no engine has a part in.
on_one_engine = pytest.mark.parametrize("open_database", ["sqlite-memory"], indirect=True)


async def test_registering_logs_in(town: Town) -> None:
    """Who registers gets a device and a token that is theirs."""
    login = await town.directory.register("alice", "secret", device_id=PHONE, is_admin=True)
    assert login == Login(ALICE, PHONE, login.access_token)
    assert await town.directory.authenticate(login.access_token) == Requester(ALICE, PHONE)
    assert await town.directory.account(ALICE) == Account(ALICE, town.clock.now(), True, False)


async def test_accounts_in_order(town: Town) -> None:
    """Accounts are listed by their user IDs, part by part, those that are deactivated too."""
    for name in ("carol", "alice", "bob"):
        await town.directory.register(name, None)
    await town.directory.deactivate(BOB)
    first = await town.directory.accounts(None, 2)
    assert first == [await town.directory.account(user_id) for user_id in (ALICE, BOB)]
    assert [it.is_deactivated for it in first] == [False, True]
    rest = await town.directory.accounts(BOB, 2)
    assert [it.user_id for it in rest] == [UserId("@carol:lamp.test")]


async def test_accounts_by_a_part_of_the_name(town: Town) -> None:
    """Accounts are found by a part of the localpart or display name, never by the server's name."""
    for name in ("carol", "alice", "bob", "x_y"):
        await town.directory.register(name, None)
    await town.directory.set_displayname(BOB, "Caro%line")

    async def found(containing: str) -> list[str]:
        return [it.user_id for it in await town.directory.accounts(None, 9, containing)]

    assert await found("caro") == [BOB, "@carol:lamp.test"]
    assert (await found("O%L"), await found("_"), await found("lamp")) == (
        [BOB],
        ["@x_y:lamp.test"],
        [],
    )


async def test_chosen_localparts(town: Town) -> None:
    """Without a localpart one is chosen, another one each time."""
    logins = [await town.directory.register(None, None) for _ in range(3)]
    assert len({login.user_id for login in logins}) == 3


async def test_a_name_is_taken_once(town: Town) -> None:
    """Of many who register one name at the same time, one gets it and the others hear why not."""
    tries = [town.directory.register("alice", None) for _ in range(5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Login"] + ["UserInUse"] * 4


@pytest.mark.parametrize("name", ["Alice", "a b", "", "é", "a:b", "x" * 256, "\ud800"])
async def test_names_nobody_can_have(town: Town, name: str) -> None:
    """A localpart outside the grammar is refused."""
    with pytest.raises(InvalidUsername):
        await town.directory.check_available(name)
    with pytest.raises(InvalidUsername):
        await town.directory.register(name, None)


async def test_availability(town: Town) -> None:
    """A name is available until somebody has it."""
    await town.directory.check_available("alice")
    await town.settle("alice")
    with pytest.raises(UserInUse):
        await town.directory.check_available("alice")


async def test_passwords(town: Town) -> None:
    """Only the right password of an existing user is accepted; all else is the same error."""
    await town.directory.register("alice", "right")
    await town.directory.register("bob", None)
    await town.directory.check_password(ALICE, "right")
    messages = set()
    await town.directory.register("charlie", "right")
    await town.directory.deactivate(CHARLIE)
    refusals = (ALICE, "wrong"), (BOB, ""), (CHARLIE, "right"), (UserId("@no:lamp.test"), "right")
    for user_id, password in refusals:
        with pytest.raises(Forbidden) as refused:
            await town.directory.check_password(user_id, password)
        messages.add(str(refused.value))
    assert len(messages) == 1


async def test_long_passwords(town: Town) -> None:
    """A password of more than 512 characters is not taken."""
    with pytest.raises(TooLarge):
        await town.directory.register("alice", "x" * 513)


async def test_a_new_login_replaces_the_devices_token(town: Town) -> None:
    """Logging in again on a device revokes its old token, keeps its name, and loses no device."""
    first = await town.directory.register("alice", None, device_id=PHONE, device_name="phone")
    await town.directory.authenticate(first.access_token)
    town.recorder.forget()
    second = await town.directory.log_in(ALICE, device_id=PHONE, device_name="other")
    with pytest.raises(UnknownToken):
        await town.directory.authenticate(first.access_token)
    assert await town.directory.authenticate(second.access_token) == Requester(ALICE, PHONE)
    assert [d.display_name for d in await town.directory.devices(ALICE)] == ["phone"]
    assert town.recorder.told == [("tokens_revoked", (ALICE, [PHONE]))]


async def test_unknown_users_cannot_log_in(town: Town) -> None:
    """There is no device without a user."""
    with pytest.raises(NotFound):
        await town.directory.log_in(ALICE)


@pytest.mark.parametrize("token", ["", "never-given-out", "\ud800"])
async def test_unknown_tokens(town: Town, token: str) -> None:
    """A token that was never given out is unknown."""
    with pytest.raises(UnknownToken):
        await town.directory.authenticate(token)


async def test_logging_out(town: Town) -> None:
    """Logging out revokes the token, deletes the device, and is told."""
    login = await town.directory.register("alice", None, device_id=PHONE)
    requester = await town.directory.authenticate(login.access_token)
    await town.directory.log_out(requester)
    with pytest.raises(UnknownToken):
        await town.directory.authenticate(login.access_token)
    assert await town.directory.devices(ALICE) == []
    assert town.recorder.told == [("devices_gone", (ALICE, [PHONE]))]


async def test_logging_out_everywhere(town: Town) -> None:
    """Logging out of all devices leaves those of other users alone."""
    phone = await town.directory.register("alice", None, device_id=PHONE)
    laptop = await town.directory.log_in(ALICE, device_id=DeviceId("LAPTOP"))
    bob = await town.directory.register("bob", None, device_id=PHONE)
    await town.directory.log_out_all(ALICE)
    for login in (phone, laptop):
        with pytest.raises(UnknownToken):
            await town.directory.authenticate(login.access_token)
    assert await town.directory.authenticate(bob.access_token) == Requester(BOB, PHONE)
    assert town.recorder.told == [("devices_gone", (ALICE, ["LAPTOP", PHONE]))]


async def test_devices(town: Town) -> None:
    """A device can be listed, renamed and deleted; one that is not there cannot be renamed."""
    login = await town.directory.register("alice", None, device_id=PHONE, device_name="old")
    town.clock.advance(hours=1)
    await town.directory.authenticate(login.access_token)
    await town.directory.rename_device(ALICE, PHONE, "new")
    record = DeviceRecord(PHONE, "new", town.clock.now())
    assert await town.directory.device(ALICE, PHONE) == record
    assert await town.directory.devices(ALICE) == [record]
    await town.directory.delete_devices(ALICE, [PHONE])
    await town.directory.delete_devices(ALICE, [PHONE])
    assert town.recorder.told == [("devices_gone", (ALICE, [PHONE]))]
    with pytest.raises(NotFound):
        await town.directory.rename_device(ALICE, PHONE, "newer")
    with pytest.raises(NotFound):
        await town.directory.device(ALICE, PHONE)


async def test_several_devices_are_deleted_together(town: Town) -> None:
    """Those that are there are gone at once, and told once; names of others change nothing."""
    await town.settle("alice")
    for name in ("LAPTOP", "WATCH"):
        await town.directory.log_in(ALICE, device_id=DeviceId(name))
    names = [DeviceId(f"no {number}") for number in range(40_000)]
    await town.directory.delete_devices(ALICE, [*names, DeviceId("WATCH"), PHONE, PHONE])
    assert [it.device_id for it in await town.directory.devices(ALICE)] == ["LAPTOP"]
    assert town.recorder.told == [("devices_gone", (ALICE, ["PHONE", "WATCH"]))]
    await town.directory.delete_devices(ALICE, [])
    assert len(await town.directory.devices(ALICE)) == 1


async def test_device_limits(town: Town) -> None:
    """Device IDs and names have a length, whoever sets them."""
    await town.settle("alice")
    with pytest.raises(TooLarge):
        await town.directory.log_in(ALICE, device_id=DeviceId("x" * 256))
    with pytest.raises(TooLarge):
        await town.directory.log_in(ALICE, device_name="x" * 101)
    with pytest.raises(TooLarge):
        await town.directory.rename_device(ALICE, PHONE, "x" * 101)
    with pytest.raises(InvalidParam):
        await town.directory.log_in(ALICE, device_name="\ud800")
    assert [d.device_id for d in await town.directory.devices(ALICE)] == [PHONE]


async def test_profiles(town: Town) -> None:
    """A profile starts empty, holds what is set, and is emptied again."""
    await town.settle("alice")
    assert await town.directory.profile(ALICE) == Profile(None, None)
    await town.directory.set_displayname(ALICE, "Alice")
    await town.directory.set_avatar_url(ALICE, "mxc://lamp.test/a")
    assert await town.directory.profile(ALICE) == Profile("Alice", "mxc://lamp.test/a")
    await town.directory.set_displayname(ALICE, "")
    await town.directory.set_avatar_url(ALICE, None)
    assert await town.directory.profile(ALICE) == Profile(None, None)
    with pytest.raises(NotFound):
        await town.directory.profile(BOB)


async def test_profile_limits(town: Town) -> None:
    """A display name has at most 256 characters, an avatar's URL at most 1000."""
    await town.settle("alice")
    with pytest.raises(TooLarge):
        await town.directory.set_displayname(ALICE, "x" * 257)
    with pytest.raises(TooLarge):
        await town.directory.set_avatar_url(ALICE, "x" * 1001)
    with pytest.raises(InvalidParam):
        await town.directory.set_displayname(ALICE, "\ud800")
    assert await town.directory.profile(ALICE) == Profile(None, None)


async def test_a_profile_change_is_shown_in_rooms(town: Town) -> None:
    """A new display name is a new member event in every room, and no change of membership."""
    alice, bob = await town.settle("alice", "bob")
    room_id = await town.room(alice, bob)
    town.recorder.forget()
    await town.directory.set_displayname(alice, "Alice")
    member = await town.directory.state_event(bob, room_id, "m.room.member", alice)
    assert member["content"] == {"membership": "join", "displayname": "Alice"}
    assert member["unsigned"]["prev_content"] == {"membership": "join"}
    assert town.recorder.memberships == []
    assert town.recorder.news == [{alice, bob}]
    assert await town.directory.joined_members(bob, room_id) == {
        alice: Profile("Alice", None),
        bob: Profile(None, None),
    }


async def test_account_data(town: Town) -> None:
    """Account data is kept by user, room and type; the user is told, nobody else."""
    alice, bob = await town.settle("alice", "bob")
    room_id = RoomId("!a:lamp.test")
    await town.directory.set_account_data(alice, None, "m.direct", {"a": 1})
    await town.directory.set_account_data(alice, room_id, "m.direct", {"b": 2})
    await town.directory.set_account_data(alice, None, "m.direct", {"a": 3})
    assert await town.directory.account_data(alice, None, "m.direct") == {"a": 3}
    assert await town.directory.account_data(alice, room_id, "m.direct") == {"b": 2}
    assert await town.directory.account_data(bob, None, "m.direct") is None
    assert town.recorder.news == [{alice}] * 3


async def test_filters(town: Town) -> None:
    """A filter has an ID, the same one for the same filter, and belongs to its user."""
    await town.settle("alice", "bob")
    first = await town.directory.save_filter(ALICE, {"room": {"timeline": {"limit": 3}}, "x": 1})
    again = await town.directory.save_filter(ALICE, {"x": 1, "room": {"timeline": {"limit": 3}}})
    other = await town.directory.save_filter(ALICE, {})
    assert first == again != other
    assert not first.startswith("{")
    assert await town.directory.filter(ALICE, first) == {
        "room": {"timeline": {"limit": 3}},
        "x": 1,
    }
    for user_id, filter_id in ((BOB, first), (ALICE, "no"), (ALICE, "")):
        with pytest.raises(NotFound):
            await town.directory.filter(user_id, filter_id)


async def test_json_limits(town: Town) -> None:
    """What a client keeps is at most 64 KiB and is JSON."""
    await town.settle("alice")
    large = {"x": "y" * (64 * 1024)}
    with pytest.raises(TooLarge):
        await town.directory.save_filter(ALICE, large)
    with pytest.raises(TooLarge):
        await town.directory.set_account_data(ALICE, None, "a", large)
    with pytest.raises(TooLarge):
        await town.directory.set_account_data(ALICE, None, "t" * 256, {})
    with pytest.raises(BadJson):
        await town.directory.set_account_data(ALICE, None, "a", {"x": "\ud800"})
    assert await town.directory.account_data(ALICE, None, "a") is None


async def test_deactivation(town: Town) -> None:
    """Deactivation logs out, leaves the rooms, and clears everything, told in that order."""
    alice = (await town.directory.register("alice", "secret", device_id=PHONE)).user_id
    (bob,) = await town.settle("bob")
    room_id = await town.room(bob, alice)
    invited_to = await town.directory.create_room(
        bob, NewRoom(preset="private_chat", invite=[alice])
    )
    await town.directory.set_displayname(alice, "Alice")
    await town.directory.set_account_data(alice, None, "a", {"b": 1})
    filter_id = await town.directory.save_filter(alice, {})
    town.recorder.forget()
    await town.directory.deactivate(alice)
    assert town.recorder.told == [
        ("devices_gone", (alice, [PHONE])),
        ("user_deactivated", alice),
        ("memberships_changed", 1),
    ]
    assert town.recorder.memberships == [MembershipChange(room_id, alice, False)]
    assert await town.directory.profile(alice) == Profile(None, None)
    assert await town.directory.account_data(alice, None, "a") is None
    with pytest.raises(NotFound):
        await town.directory.filter(alice, filter_id)
    for room in (room_id, invited_to):
        member = await town.directory.state_event(bob, room, "m.room.member", alice)
        assert member["content"] == {"membership": "leave"}
    account = await town.directory.account(alice)
    assert account is not None
    assert account.is_deactivated


async def test_after_deactivation(town: Town) -> None:
    """A deactivated user cannot come back in any way, and the name stays taken."""
    alice = (await town.directory.register("alice", "secret", device_id=PHONE)).user_id
    (bob,) = await town.settle("bob")
    room_id = await town.room(bob)
    await town.directory.deactivate(alice)
    with pytest.raises(UserInUse):
        await town.directory.register("alice", None)
    with pytest.raises(Forbidden):
        await town.directory.check_password(alice, "secret")
    with pytest.raises(UserDeactivated):
        await town.directory.log_in(alice)
    with pytest.raises(UserDeactivated):
        await town.directory.join(alice, room_id)
    with pytest.raises(UserDeactivated):
        await town.directory.set_displayname(alice, "ghost")
    with pytest.raises(UserDeactivated):
        await town.directory.set_account_data(alice, None, "a", {})
    with pytest.raises(UserDeactivated):
        await town.directory.deactivate(alice)
    with pytest.raises(Forbidden):
        await town.directory.invite(bob, room_id, alice)
    with pytest.raises(UnknownToken):
        await town.directory.send_event(on_phone(alice), room_id, "m.room.message", {}, "1")


async def test_what_a_vanished_caller_began_is_told(town: Town) -> None:
    """A request that is cancelled in the middle of its write is still stored and told whole."""
    alice, bob = await town.settle("alice", "bob")
    room_id = await town.room(alice)
    town.recorder.forget()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await town.directory.join(bob, room_id)
    await town.say(alice, room_id, "next in the queue")
    assert town.recorder.memberships == [MembershipChange(room_id, bob, True)]
    assert set(await town.directory.joined_members(alice, room_id)) == {alice, bob}


async def test_members_since(town: Town) -> None:
    """Every standing join is listed with the instant it began; a new profile does not move it."""
    alice, bob = await town.settle("alice", "bob")
    start = town.clock.now()
    room_id = await town.room(alice)
    town.clock.advance(minutes=1)
    await town.directory.join(bob, room_id)
    town.clock.advance(minutes=1)
    await town.directory.set_displayname(bob, "Bob")
    found = {(m.room_id, m.user_id, m.since) for m in await town.directory.members()}
    joined = after(start, timedelta(minutes=1))
    assert found == {(room_id, alice, start), (room_id, bob, joined)}
    await town.directory.leave(bob, room_id)
    town.clock.advance(minutes=1)
    await town.directory.join(bob, room_id)
    again = {m.user_id: m.since for m in await town.directory.members()}
    assert again == {alice: start, bob: town.clock.now()}


async def test_many_rooms_are_written_in_turns(town: Town) -> None:
    """Who has many rooms and a new name does not keep others from writing meanwhile."""
    alice, bob = await town.settle("alice", "bob")
    rooms = [await town.room(alice) for _ in range(45)]
    town.recorder.forget()
    await asyncio.gather(
        town.directory.set_displayname(alice, "Alice"),
        town.directory.set_account_data(bob, None, "a", {}),
    )
    assert town.recorder.news == [{bob}, {alice}, {alice}, {alice}]
    shown = [await town.directory.joined_members(alice, room) for room in rooms]
    assert shown == [{alice: Profile("Alice", None)}] * 45


async def test_a_profile_is_shown_where_another_is(town: Town) -> None:
    """The same name once more is an event only in rooms that show another one."""
    (alice,) = await town.settle("alice")
    one, other = [await town.room(alice) for _ in range(2)]
    await town.directory.set_displayname(alice, "Alice")
    town.recorder.forget()
    await town.directory.set_displayname(alice, "Alice")
    assert town.recorder.news == []
    as_al = {"membership": "join", "displayname": "Al"}
    await town.directory.set_state(alice, one, "m.room.member", alice, as_al)
    in_other = await town.directory.state_event(alice, other, "m.room.member", alice)
    await town.directory.set_displayname(alice, "Alice")
    assert await town.directory.joined_members(alice, one) == {alice: Profile("Alice", None)}
    assert await town.directory.state_event(alice, other, "m.room.member", alice) == in_other


async def test_deactivation_with_many_rooms(town: Town) -> None:
    """Who closes an account with many rooms leaves them in turns, all of them."""
    alice, _ = await town.settle("alice", "bob")
    for _ in range(45):
        await town.room(alice)
    town.recorder.forget()
    await town.directory.deactivate(alice)
    assert town.recorder.told == [
        ("devices_gone", (alice, [PHONE])),
        ("user_deactivated", alice),
        ("memberships_changed", 20),
        ("memberships_changed", 20),
        ("memberships_changed", 5),
    ]
    assert await town.directory.joined_rooms(alice) == []


@on_one_engine
async def test_too_many_devices(town: Town) -> None:
    """Of more than 200 devices the one unused longest is deleted, and its token with it."""
    first = await town.directory.register("alice", None, device_id=PHONE)
    unused = await town.directory.log_in(ALICE, device_id=DeviceId("UNUSED"))
    for _ in range(198):
        town.clock.advance(seconds=1)
        await town.directory.log_in(ALICE)
    await town.directory.authenticate(first.access_token)
    town.recorder.forget()
    await town.directory.log_in(ALICE, device_id=PHONE)
    assert town.recorder.told == [("tokens_revoked", (ALICE, [PHONE]))]
    town.recorder.forget()
    await town.directory.log_in(ALICE)
    assert town.recorder.told == [("devices_gone", (ALICE, ["UNUSED"]))]
    assert len(await town.directory.devices(ALICE)) == 200
    with pytest.raises(UnknownToken):
        await town.directory.authenticate(unused.access_token)


@on_one_engine
async def test_too_much_account_data(town: Town) -> None:
    """There are 500 types of global account data, as many of a room, and 2000 of a user."""
    await town.settle("alice")

    async def fill(room_id: RoomId | None) -> None:
        for number in range(500):
            await town.directory.set_account_data(ALICE, room_id, f"t{number}", {})

    await fill(None)
    with pytest.raises(TooLarge, match="you have 500 types here already"):
        await town.directory.set_account_data(ALICE, None, "t500", {})
    await town.directory.set_account_data(ALICE, None, "t7", {"a": 1})
    for room in "abc":
        await fill(RoomId(f"!{room}:lamp.test"))
    with pytest.raises(TooLarge, match="you have 2000 types in all your rooms already"):
        await town.directory.set_account_data(ALICE, RoomId("!d:lamp.test"), "t", {})
    assert await town.directory.account_data(ALICE, None, "t7") == {"a": 1}


@on_one_engine
async def test_too_many_filters(town: Town) -> None:
    """A user has up to 500 filters; one that is there can be uploaded again."""
    await town.settle("alice")
    ids = [await town.directory.save_filter(ALICE, {"n": number}) for number in range(500)]
    with pytest.raises(TooLarge, match="you have 500 already"):
        await town.directory.save_filter(ALICE, {"n": 500})
    assert await town.directory.save_filter(ALICE, {"n": 3}) == ids[3]

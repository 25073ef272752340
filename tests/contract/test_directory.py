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
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.homeserver.values import Login, NewRoom
from lamplighter.ids import DeviceId, RoomId, UserId
from lamplighter.ports import (
    Account,
    DeviceRecord,
    MembershipChange,
    Profile,
    Requester,
)
from tests.contract.directories import ALICE, BOB, CHARLIE, PHONE, Subject, on_phone, refused
from tests.database.bulk import add_account_data

#: For limits whose proof takes hundreds of writes, and which no engine has a part in.
on_one_engine = pytest.mark.parametrize("open_database", ["sqlite-memory"], indirect=True)


async def test_registering_logs_in(tested: Subject, directory: SqlDirectory) -> None:
    """A user who registers gets a device, and a token for it."""
    login = await directory.register("alice", "secret", device_id=PHONE, is_admin=True)
    assert login == Login(ALICE, PHONE, login.access_token)
    assert await directory.authenticate(login.access_token) == Requester(ALICE, PHONE)
    assert await directory.account(ALICE) == Account(ALICE, tested.clock.now(), True, False)


async def test_accounts_in_order(directory: SqlDirectory) -> None:
    """Accounts are listed by their user IDs, part by part, those that are deactivated too."""
    for name in ("carol", "alice", "bob"):
        await directory.register(name, None)
    await directory.deactivate(BOB)
    first = await directory.accounts(None, 2)
    assert first == [await directory.account(user_id) for user_id in (ALICE, BOB)]
    assert [it.is_deactivated for it in first] == [False, True]
    rest = await directory.accounts(BOB, 2)
    assert [it.user_id for it in rest] == [UserId("@carol:lamp.test")]


async def test_accounts_by_a_part_of_the_name(directory: SqlDirectory) -> None:
    """Accounts are found by a part of the localpart or display name, never by the server's name."""
    for name in ("carol", "alice", "bob", "x_y"):
        await directory.register(name, None)
    await directory.set_displayname(BOB, "Caro%line")

    async def found(containing: str) -> list[str]:
        return [it.user_id for it in await directory.accounts(None, 9, containing)]

    assert await found("caro") == [BOB, "@carol:lamp.test"]
    assert (await found("O%L"), await found("_"), await found("lamp")) == (
        [BOB],
        ["@x_y:lamp.test"],
        [],
    )


async def test_chosen_localparts(directory: SqlDirectory) -> None:
    """Without a localpart one is chosen, another one each time."""
    logins = [await directory.register(None, None) for _ in range(3)]
    assert len({login.user_id for login in logins}) == 3


async def test_a_name_is_taken_once(directory: SqlDirectory) -> None:
    """Of many who register one name at the same time, one gets it and the others hear why not."""
    tries = [directory.register("alice", None) for _ in range(5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Login"] + ["UserInUse"] * 4


@pytest.mark.parametrize("name", ["Alice", "a b", "", "é", "a:b", "x" * 256, "\ud800"])
async def test_names_nobody_can_have(directory: SqlDirectory, name: str) -> None:
    """A localpart outside the grammar is refused."""
    await refused(InvalidUsername, directory.check_available(name))
    await refused(InvalidUsername, directory.register(name, None))


async def test_availability(tested: Subject, directory: SqlDirectory) -> None:
    """A name is available until somebody has it."""
    await directory.check_available("alice")
    await tested.users("alice")
    await refused(UserInUse, directory.check_available("alice"))


async def test_passwords(directory: SqlDirectory) -> None:
    """Only the right password of an existing user is accepted; all else is the same error."""
    await directory.register("alice", "right")
    await directory.register("bob", None)
    await directory.check_password(ALICE, "right")
    messages = set()
    await directory.register("charlie", "right")
    await directory.deactivate(CHARLIE)
    refusals = (ALICE, "wrong"), (BOB, ""), (CHARLIE, "right"), (UserId("@no:lamp.test"), "right")
    for user_id, password in refusals:
        with pytest.raises(Forbidden) as refused:
            await directory.check_password(user_id, password)
        messages.add(str(refused.value))
    assert len(messages) == 1


@pytest.mark.parametrize("password", ["x" * 513, "é" * 257])
async def test_long_passwords(directory: SqlDirectory, password: str) -> None:
    """A password of more than 512 bytes is not taken."""
    await refused(TooLarge, directory.register("alice", password))


async def test_a_new_login_replaces_the_devices_token(
    tested: Subject, directory: SqlDirectory
) -> None:
    """Logging in again on a device revokes its old token, keeps its name, and loses no device."""
    first = await directory.register("alice", None, device_id=PHONE, device_name="phone")
    await directory.authenticate(first.access_token)
    tested.recorder.forget()
    second = await directory.log_in(ALICE, device_id=PHONE, device_name="other")
    await refused(UnknownToken, directory.authenticate(first.access_token))
    assert await directory.authenticate(second.access_token) == Requester(ALICE, PHONE)
    assert [d.display_name for d in await directory.devices(ALICE)] == ["phone"]
    assert tested.recorder.told == [("tokens_revoked", (ALICE, [PHONE]))]


async def test_unknown_users_cannot_log_in(directory: SqlDirectory) -> None:
    """There is no device without a user."""
    await refused(NotFound, directory.log_in(ALICE))


async def test_logging_out(tested: Subject, directory: SqlDirectory) -> None:
    """Logging out revokes the token, deletes the device, and is told."""
    login = await directory.register("alice", None, device_id=PHONE)
    requester = await directory.authenticate(login.access_token)
    await directory.log_out(requester)
    await refused(UnknownToken, directory.authenticate(login.access_token))
    assert await directory.devices(ALICE) == []
    assert tested.recorder.told == [("devices_gone", (ALICE, [PHONE]))]


async def test_logging_out_everywhere(tested: Subject, directory: SqlDirectory) -> None:
    """Logging out of all devices leaves those of other users alone."""
    phone = await directory.register("alice", None, device_id=PHONE)
    laptop = await directory.log_in(ALICE, device_id=DeviceId("LAPTOP"))
    bob = await directory.register("bob", None, device_id=PHONE)
    await directory.log_out_all(ALICE)
    for login in (phone, laptop):
        await refused(UnknownToken, directory.authenticate(login.access_token))
    assert await directory.authenticate(bob.access_token) == Requester(BOB, PHONE)
    assert tested.recorder.told == [("devices_gone", (ALICE, ["LAPTOP", PHONE]))]


async def test_devices(tested: Subject, directory: SqlDirectory) -> None:
    """A device can be listed, renamed and deleted; one that is not there cannot be renamed."""
    login = await directory.register("alice", None, device_id=PHONE, device_name="old")
    tested.clock.advance(hours=1)
    await directory.authenticate(login.access_token)
    await directory.rename_device(ALICE, PHONE, "new")
    record = DeviceRecord(PHONE, "new", tested.clock.now())
    assert await directory.device(ALICE, PHONE) == record
    assert await directory.devices(ALICE) == [record]
    await directory.delete_devices(ALICE, [PHONE])
    await directory.delete_devices(ALICE, [PHONE])
    assert tested.recorder.told == [("devices_gone", (ALICE, [PHONE]))]
    await refused(NotFound, directory.rename_device(ALICE, PHONE, "newer"))
    await refused(NotFound, directory.device(ALICE, PHONE))


async def test_several_devices_are_deleted_together(
    tested: Subject, directory: SqlDirectory
) -> None:
    """Those that are there are gone at once, and told once; names of others change nothing."""
    await tested.users("alice")
    for name in ("LAPTOP", "WATCH"):
        await directory.log_in(ALICE, device_id=DeviceId(name))
    names = [DeviceId(f"no {number}") for number in range(40_000)]
    await directory.delete_devices(ALICE, [*names, DeviceId("WATCH"), PHONE, PHONE])
    assert [it.device_id for it in await directory.devices(ALICE)] == ["LAPTOP"]
    assert tested.recorder.told == [("devices_gone", (ALICE, ["PHONE", "WATCH"]))]
    await directory.delete_devices(ALICE, [])
    assert len(await directory.devices(ALICE)) == 1


async def test_device_limits(tested: Subject, directory: SqlDirectory) -> None:
    """Device IDs and names have a length, whoever sets them."""
    await tested.users("alice")
    await refused(TooLarge, directory.log_in(ALICE, device_id=DeviceId("x" * 256)))
    await refused(TooLarge, directory.log_in(ALICE, device_name="x" * 101))
    await refused(TooLarge, directory.rename_device(ALICE, PHONE, "x" * 101))
    await refused(InvalidParam, directory.log_in(ALICE, device_name="\ud800"))
    assert [d.device_id for d in await directory.devices(ALICE)] == [PHONE]


async def test_profiles(tested: Subject, directory: SqlDirectory) -> None:
    """A profile starts empty, holds what is set, and is emptied again."""
    await tested.users("alice")
    assert await directory.profile(ALICE) == Profile(None, None)
    await directory.set_displayname(ALICE, "Alice")
    await directory.set_avatar_url(ALICE, "mxc://lamp.test/a")
    assert await directory.profile(ALICE) == Profile("Alice", "mxc://lamp.test/a")
    await directory.set_displayname(ALICE, "")
    await directory.set_avatar_url(ALICE, None)
    assert await directory.profile(ALICE) == Profile(None, None)
    await refused(NotFound, directory.profile(BOB))


async def test_profile_limits(tested: Subject, directory: SqlDirectory) -> None:
    """A display name has at most 256 characters, an avatar's URL at most 1000."""
    await tested.users("alice")
    await refused(TooLarge, directory.set_displayname(ALICE, "x" * 257))
    await refused(TooLarge, directory.set_avatar_url(ALICE, "x" * 1001))
    await refused(InvalidParam, directory.set_displayname(ALICE, "\ud800"))
    assert await directory.profile(ALICE) == Profile(None, None)


async def test_a_profile_change_is_shown_in_rooms(tested: Subject, directory: SqlDirectory) -> None:
    """A new display name is a new member event in every room, and no change of membership."""
    alice, bob = await tested.users("alice", "bob")
    room_id = await tested.room(alice, bob)
    tested.recorder.forget()
    await directory.set_displayname(alice, "Alice")
    member = await directory.state_event(bob, room_id, "m.room.member", alice)
    assert member["content"] == {"membership": "join", "displayname": "Alice"}
    assert member["unsigned"]["prev_content"] == {"membership": "join"}
    assert tested.recorder.memberships == []
    assert tested.recorder.news == [{alice, bob}]
    assert await directory.joined_members(bob, room_id) == {
        alice: Profile("Alice", None),
        bob: Profile(None, None),
    }


async def test_account_data(tested: Subject, directory: SqlDirectory) -> None:
    """Account data is kept by user, room and type; the user is told, nobody else."""
    alice, bob = await tested.users("alice", "bob")
    room_id = RoomId("!a:lamp.test")
    await directory.set_account_data(alice, None, "m.direct", {"a": 1})
    await directory.set_account_data(alice, room_id, "m.direct", {"b": 2})
    await directory.set_account_data(alice, None, "m.direct", {"a": 3})
    assert await directory.account_data(alice, None, "m.direct") == {"a": 3}
    assert await directory.account_data(alice, room_id, "m.direct") == {"b": 2}
    assert await directory.account_data(bob, None, "m.direct") is None
    assert tested.recorder.news == [{alice}] * 3


async def test_filters(tested: Subject, directory: SqlDirectory) -> None:
    """A filter has an ID, the same one for the same filter, and belongs to its user."""
    await tested.users("alice", "bob")
    first = await directory.save_filter(ALICE, {"room": {"timeline": {"limit": 3}}, "x": 1})
    again = await directory.save_filter(ALICE, {"x": 1, "room": {"timeline": {"limit": 3}}})
    other = await directory.save_filter(ALICE, {})
    assert first == again != other
    assert not first.startswith("{")
    assert await directory.filter(ALICE, first) == {
        "room": {"timeline": {"limit": 3}},
        "x": 1,
    }
    for user_id, filter_id in ((BOB, first), (ALICE, "no"), (ALICE, "")):
        await refused(NotFound, directory.filter(user_id, filter_id))


async def test_json_limits(tested: Subject, directory: SqlDirectory) -> None:
    """Filters and account data are JSON of at most 64 KiB each."""
    await tested.users("alice")
    large = {"x": "y" * (64 * 1024)}
    await refused(TooLarge, directory.save_filter(ALICE, large))
    await refused(TooLarge, directory.set_account_data(ALICE, None, "a", large))
    await refused(TooLarge, directory.set_account_data(ALICE, None, "t" * 256, {}))
    await refused(BadJson, directory.set_account_data(ALICE, None, "a", {"x": "\ud800"}))
    assert await directory.account_data(ALICE, None, "a") is None


async def test_deactivation(tested: Subject, directory: SqlDirectory) -> None:
    """Deactivation logs out, leaves the rooms, and clears everything, told in that order."""
    alice = (await directory.register("alice", "secret", device_id=PHONE)).user_id
    (bob,) = await tested.users("bob")
    room_id = await tested.room(bob, alice)
    invited_to = await directory.create_room(bob, NewRoom(preset="private_chat", invite=[alice]))
    await directory.set_displayname(alice, "Alice")
    await directory.set_account_data(alice, None, "a", {"b": 1})
    filter_id = await directory.save_filter(alice, {})
    tested.recorder.forget()
    await directory.deactivate(alice)
    assert tested.recorder.told == [
        ("devices_gone", (alice, [PHONE])),
        ("user_deactivated", alice),
        ("memberships_changed", 1),
    ]
    assert tested.recorder.memberships == [MembershipChange(room_id, alice, False)]
    assert await directory.profile(alice) == Profile(None, None)
    assert await directory.account_data(alice, None, "a") is None
    await refused(NotFound, directory.filter(alice, filter_id))
    for room in (room_id, invited_to):
        member = await directory.state_event(bob, room, "m.room.member", alice)
        assert member["content"] == {"membership": "leave"}
    account = await directory.account(alice)
    assert account is not None
    assert account.is_deactivated


async def test_after_deactivation(tested: Subject, directory: SqlDirectory) -> None:
    """A deactivated user cannot come back in any way, and the name stays taken."""
    alice = (await directory.register("alice", "secret", device_id=PHONE)).user_id
    (bob,) = await tested.users("bob")
    room_id = await tested.room(bob)
    await directory.deactivate(alice)
    await refused(UserInUse, directory.register("alice", None))
    await refused(Forbidden, directory.check_password(alice, "secret"))
    await refused(UserDeactivated, directory.log_in(alice))
    await refused(UserDeactivated, directory.join(alice, room_id))
    await refused(UserDeactivated, directory.set_displayname(alice, "ghost"))
    await refused(UserDeactivated, directory.set_account_data(alice, None, "a", {}))
    await refused(UserDeactivated, directory.deactivate(alice))
    await refused(Forbidden, directory.invite(bob, room_id, alice))
    await refused(
        UnknownToken, directory.send_event(on_phone(alice), room_id, "m.room.message", {}, "1")
    )


async def test_what_a_vanished_caller_began_is_told(
    tested: Subject, directory: SqlDirectory
) -> None:
    """A request that is cancelled in the middle of its write is still stored and told whole."""
    alice, bob = await tested.users("alice", "bob")
    room_id = await tested.room(alice)
    tested.recorder.forget()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await directory.join(bob, room_id)
    await tested.say(alice, room_id, "next in the queue")
    assert tested.recorder.memberships == [MembershipChange(room_id, bob, True)]
    assert set(await directory.joined_members(alice, room_id)) == {alice, bob}


async def test_members_since(tested: Subject, directory: SqlDirectory) -> None:
    """Every standing join is listed with the instant it began; a new profile does not move it."""
    alice, bob = await tested.users("alice", "bob")
    start = tested.clock.now()
    room_id = await tested.room(alice)
    tested.clock.advance(minutes=1)
    await directory.join(bob, room_id)
    tested.clock.advance(minutes=1)
    await directory.set_displayname(bob, "Bob")
    found = {(m.room_id, m.user_id, m.since) for m in await directory.members()}
    joined = after(start, timedelta(minutes=1))
    assert found == {(room_id, alice, start), (room_id, bob, joined)}
    await directory.leave(bob, room_id)
    tested.clock.advance(minutes=1)
    await directory.join(bob, room_id)
    again = {m.user_id: m.since for m in await directory.members()}
    assert again == {alice: start, bob: tested.clock.now()}


async def test_many_rooms_are_written_in_turns(tested: Subject, directory: SqlDirectory) -> None:
    """A new name is written to 20 rooms at a time, so other users can write in between."""
    alice, bob = await tested.users("alice", "bob")
    rooms = [await tested.room(alice) for _ in range(45)]
    tested.recorder.forget()
    await asyncio.gather(
        directory.set_displayname(alice, "Alice"),
        directory.set_account_data(bob, None, "a", {}),
    )
    assert tested.recorder.news == [{bob}, {alice}, {alice}, {alice}]
    shown = [await directory.joined_members(alice, room) for room in rooms]
    assert shown == [{alice: Profile("Alice", None)}] * 45


async def test_a_profile_is_shown_where_another_is(
    tested: Subject, directory: SqlDirectory
) -> None:
    """The same name once more is an event only in rooms that show another one."""
    (alice,) = await tested.users("alice")
    one, other = [await tested.room(alice) for _ in range(2)]
    await directory.set_displayname(alice, "Alice")
    tested.recorder.forget()
    await directory.set_displayname(alice, "Alice")
    assert tested.recorder.news == []
    as_al = {"membership": "join", "displayname": "Al"}
    await directory.set_state(alice, one, "m.room.member", alice, as_al)
    in_other = await directory.state_event(alice, other, "m.room.member", alice)
    await directory.set_displayname(alice, "Alice")
    assert await directory.joined_members(alice, one) == {alice: Profile("Alice", None)}
    assert await directory.state_event(alice, other, "m.room.member", alice) == in_other


async def test_deactivation_with_many_rooms(tested: Subject, directory: SqlDirectory) -> None:
    """A user who closes an account leaves all rooms, 20 at a time."""
    alice, _ = await tested.users("alice", "bob")
    for _ in range(45):
        await tested.room(alice)
    tested.recorder.forget()
    await directory.deactivate(alice)
    assert tested.recorder.told == [
        ("devices_gone", (alice, [PHONE])),
        ("user_deactivated", alice),
        ("memberships_changed", 20),
        ("memberships_changed", 20),
        ("memberships_changed", 5),
    ]
    assert await directory.joined_rooms(alice) == []


@on_one_engine
async def test_too_many_devices(tested: Subject, directory: SqlDirectory) -> None:
    """Of more than 200 devices the one unused longest is deleted, and its token with it."""
    first = await directory.register("alice", None, device_id=PHONE)
    unused = await directory.log_in(ALICE, device_id=DeviceId("UNUSED"))
    for _ in range(198):
        tested.clock.advance(seconds=1)
        await directory.log_in(ALICE)
    await directory.authenticate(first.access_token)
    tested.recorder.forget()
    await directory.log_in(ALICE, device_id=PHONE)
    assert tested.recorder.told == [("tokens_revoked", (ALICE, [PHONE]))]
    tested.recorder.forget()
    await directory.log_in(ALICE)
    assert tested.recorder.told == [("devices_gone", (ALICE, ["UNUSED"]))]
    assert len(await directory.devices(ALICE)) == 200
    await refused(UnknownToken, directory.authenticate(unused.access_token))


@on_one_engine
async def test_too_much_account_data(tested: Subject, directory: SqlDirectory) -> None:
    """There are 500 types of global account data, as many of a room, and 2000 of a user."""
    await tested.users("alice")

    async def fill(room_id: RoomId | None) -> None:
        await add_account_data(tested.database, ALICE, room_id, [f"t{it}" for it in range(499)])
        await directory.set_account_data(ALICE, room_id, "t499", {})

    await fill(None)
    with pytest.raises(TooLarge, match="you have 500 types here already"):
        await directory.set_account_data(ALICE, None, "t500", {})
    await directory.set_account_data(ALICE, None, "t7", {"a": 1})
    for room in "abc":
        await fill(RoomId(f"!{room}:lamp.test"))
    with pytest.raises(TooLarge, match="you have 2000 types in all your rooms already"):
        await directory.set_account_data(ALICE, RoomId("!d:lamp.test"), "t", {})
    assert await directory.account_data(ALICE, None, "t7") == {"a": 1}


@on_one_engine
async def test_too_many_filters(tested: Subject, directory: SqlDirectory) -> None:
    """A user has up to 500 filters; one that is there can be uploaded again."""
    await tested.users("alice")
    ids = [await directory.save_filter(ALICE, {"n": number}) for number in range(500)]
    with pytest.raises(TooLarge, match="you have 500 already"):
        await directory.save_filter(ALICE, {"n": 500})
    assert await directory.save_filter(ALICE, {"n": 3}) == ids[3]

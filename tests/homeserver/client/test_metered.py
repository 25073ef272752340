"""How much one user may put into rooms and account data, and which requests are activities."""

from datetime import timedelta

import pytest

from lamplighter.devtools.clock import FakeClock
from lamplighter.homeserver.sql import SqlDirectory
from lamplighter.ids import RoomId, UserId
from lamplighter.web.limits import RateLimiter
from tests.homeserver.world import Person, World, q


@pytest.fixture
def world(directory: SqlDirectory, clock: FakeClock) -> World:
    """A server at which a user may write 20 times at once, and then twice a second."""
    return World(directory, clock, rooms=RateLimiter(2, 20, clock))


async def send(person: Person, room: str, number: int, size: int = 1) -> int:
    """Send a message of about *size* bytes; return the status of the answer."""
    path = f"/rooms/{q(room)}/send/m.room.message/{number}"
    return (await person.put(path, {"body": "x" * size})).status


async def test_by_number(world: World, alice: Person, bob: Person) -> None:
    """A user sends 20 messages at once, and then two a second; other users are not limited."""
    room = await alice.room(preset="public_chat")
    statuses = [await send(alice, room, number) for number in range(20)]
    await bob.post(f"/rooms/{q(room)}/join", {})
    refused = await alice.put(f"/rooms/{q(room)}/send/m.room.message/20", {})
    assert statuses == [200] * 19 + [429]
    assert (refused.status, refused.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert refused.json["retry_after_ms"] == 500
    assert await send(bob, room, 1) == 200
    world.clock.advance(milliseconds=500)
    assert [await send(alice, room, number) for number in (21, 22)] == [200, 429]


async def test_by_size(alice: Person) -> None:
    """A message counts once more for each 4 KiB."""
    room = await alice.room()
    statuses = [await send(alice, room, number, 40_000) for number in range(2)]
    assert statuses == [200, 429]
    assert await send(alice, room, 3) == 200


async def test_what_is_larger_than_a_burst(directory: SqlDirectory, clock: FakeClock) -> None:
    """With a small limit, the largest message takes all of it, and passes."""
    world = World(directory, clock, rooms=RateLimiter(1, 2, clock))
    alice = await world.person("alice")
    room = await alice.room()
    world.clock.advance(seconds=2)
    assert [await send(alice, room, number, 60_000) for number in (1, 2)] == [200, 429]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/rooms/{room}/send/m.room.message/x"),
        ("PUT", "/rooms/{room}/state/m.room.topic"),
        ("PUT", "/user/@alice:demo/account_data/a"),
        ("PUT", "/user/@alice:demo/rooms/{room}/account_data/a"),
        ("POST", "/user/@alice:demo/filter"),
        ("POST", "/createRoom"),
        ("POST", "/rooms/{room}/join"),
        ("POST", "/rooms/{room}/leave"),
        ("POST", "/rooms/{room}/read_markers"),
        ("PUT", "/directory/list/room/{room}"),
    ],
)
async def test_what_is_counted(alice: Person, method: str, path: str) -> None:
    """Events, state, memberships, receipts, account data, filters and new rooms: all are."""
    room = await alice.room()
    for number in range(19):
        await send(alice, room, number)
    path = path.format(room=q(room))
    response = await (alice.put(path, {}) if method == "PUT" else alice.post(path, {}))
    assert (response.status, response.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")


async def test_activities_of_a_device_that_has_gone(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is logged out during its request gets an answer, and was not active."""
    room = await alice.room()
    set_typing = world.directory.set_typing

    async def slowly(user_id: UserId, room_id: RoomId, timeout: timedelta | None) -> None:
        await set_typing(user_id, room_id, timeout)
        await world.directory.log_out_all(user_id)

    monkeypatch.setattr(world.directory, "set_typing", slowly)
    response = await alice.put(f"/rooms/{q(room)}/typing/{alice.user_id}", {"typing": True})
    assert (response.status, world.acted) == (200, [])

"""A restart in front of a homeserver: what was known of rooms goes on, and is asked for again."""

import asyncio
from urllib.parse import quote

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from lamplighter.ids import UserId
from tests.homeserver.upstream.front import LOBBY, Front

ALICE, BOB = "@alice:demo", "@bob:demo"
OFFLINE = {BOB: {"presence": "offline"}}


@pytest.fixture
async def alice(door: Front) -> Client:
    """Somebody who has seen that bob is online, and polls with the token from after that."""
    alice, bob = door.person("alice"), door.person("bob")
    for client in (bob, alice):
        await client.sync()
    await door.server.advance(seconds=1)
    await bob.set_status("online", "brb")
    while (await alice.sync()).presence:
        pass
    assert alice.reads(BOB) == "brb"
    return alice


def members_of(room_id: str) -> str:
    """Return where the homeserver is asked for the members of a room."""
    return f"/_matrix/client/v3/rooms/{quote(room_id)}/joined_members"


async def told(client: Client) -> dict[str, object]:
    """Return everything that the next answer says, but for its token."""
    answer = await client.sync()
    return {name: value for name, value in answer.content.items() if name != "next_batch"}


async def status_is_refused(client: Client) -> None:
    """Check that the client may not see bob."""
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await client.status_of(BOB)


async def test_a_restart_tells_nothing(door: Front, alice: Client) -> None:
    """The first answer after a restart is the one that there would have been without it: nobody is
    told again of everybody, nor shown offline.
    """
    before = await told(alice)
    await door.server.restart(alice)
    assert await told(alice) == before == {
        "device_one_time_keys_count": {"signed_curve25519": 50},
        "device_unused_fallback_key_types": [],
    }  # fmt: skip
    assert (await alice.status_of(BOB))["status_msg"] == "brb"


async def test_a_leave_that_was_missed(door: Front, alice: Client) -> None:
    """The first answer after a restart says, once, that somebody who left meanwhile is offline."""
    door.small.leave(BOB, LOBBY)
    await door.server.restart(alice)
    await status_is_refused(alice)
    assert (await alice.sync()).presence == OFFLINE
    assert (await alice.sync()).presence == {}
    door.pipe.cut()
    await door.server.restart()
    membership = door.server.lamplighter.homeserver.membership
    rooms = [await membership.joined_rooms(UserId(it)) for it in (ALICE, BOB)]
    assert rooms == [[LOBBY], []]


async def test_a_leave_of_the_own_that_was_missed(door: Front, alice: Client) -> None:
    """A user who has left all rooms meanwhile sees nobody of them, though no room is known."""
    door.small.leave(ALICE, LOBBY)
    await door.server.restart(alice)
    assert (await alice.sync()).presence == OFFLINE


async def test_a_join_that_was_missed(door: Front, alice: Client) -> None:
    """Somebody who came meanwhile is visible, and nobody else is told again."""
    carol = door.person("carol")
    await carol.set_status("online", "new")
    door.small.join("@carol:demo", LOBBY)
    await door.server.advance(seconds=1)
    await door.server.restart(alice)
    assert list((await alice.sync()).presence) == ["@carol:demo"]


async def test_a_slow_homeserver(door: Front, alice: Client) -> None:
    """A first answer waits two seconds for the homeserver; then what was stored serves, until the
    homeserver says otherwise.
    """
    door.small.leave(BOB, LOBBY)
    held = door.small.held[members_of(LOBBY)] = asyncio.Event()
    before = door.server.clock.now()
    await door.server.restart(alice)
    assert (await door.server.in_time(alice.status_of(BOB)))["status_msg"] == "brb"
    assert door.server.clock.now() - before == 2_000
    held.set()
    await door.server.settled()
    await status_is_refused(alice)
    assert (await alice.sync()).presence == OFFLINE


async def test_a_homeserver_that_is_away(door: Front, alice: Client) -> None:
    """What was stored serves while the homeserver is away, and nothing is told when it is back."""
    before = await told(alice)
    door.pipe.cut()
    await door.server.restart(alice)
    await door.server.advance(seconds=10)
    membership = door.server.lamplighter.homeserver.membership
    assert await membership.joined_rooms(alice.user_id) == [LOBBY]
    door.pipe.is_down = False
    assert await told(alice) == before


async def test_all_rooms_are_asked_for(door: Front, alice: Client) -> None:
    """After a start the stored rooms are asked for, four at a time, also if nobody of them comes;
    a user who comes does not wait for the others' rooms. None is asked for twice.
    """
    rooms = [f"!{number}:demo" for number in range(9)]
    carol = door.person("carol")
    for room_id in rooms:
        door.small.join("@carol:demo", room_id)
    await carol.sync()
    await door.server.stop()
    door.small.asked.clear()
    held = asyncio.Event()
    door.small.held = {members_of(it): held for it in rooms}
    await door.server.start()
    await door.server.settled()
    assert [it.path for it in door.small.asked] == [members_of(it) for it in rooms[:4]]
    await door.server.restart(alice, carol)
    door.small.leave(BOB, LOBBY)
    assert (await door.server.at_once(alice.sync())).presence == OFFLINE
    held.set()
    await door.server.settled()
    await carol.sync()
    asked = [it.path for it in door.small.asked[4:] if it.path in door.small.held]
    assert sorted(asked) == [members_of(it) for it in rooms]


async def test_a_homeserver_that_is_back(door: Front, alice: Client) -> None:
    """With its first answer, the homeserver is asked again what it did not answer before."""
    door.pipe.cut()
    door.small.leave(BOB, LOBBY)
    assert await door.told() == 200  # the hint for which there is no answer yet
    await door.server.advance(minutes=1)
    door.pipe.is_down = False
    await door.person("carol").sync()
    await door.server.settled()
    await status_is_refused(alice)


async def test_the_stream_is_lost(door: Front, alice: Client) -> None:
    """What the stream of many nodes has lost, this one finds out itself: of rooms and of tokens,
    before it answers anybody.
    """
    door.small.leave(BOB, LOBBY)
    door.small.join("@carol:demo", LOBBY)
    await door.server.lamplighter.homeserver.stream_lost()
    await door.server.settled()
    membership = door.server.lamplighter.homeserver.membership
    rooms = [await membership.joined_rooms(UserId(it)) for it in (ALICE, BOB, "@carol:demo")]
    assert rooms == [[LOBBY], [], [LOBBY]]
    await status_is_refused(alice)
    assert (await alice.sync()).presence == OFFLINE
    await door.server.settled()  # an answer that names a room is a hint
    asked = [it.path for it in door.small.asked]
    await door.server.lamplighter.homeserver.stream_lost()
    await alice.sync()
    asked = [it.path for it in door.small.asked[len(asked) :]]
    assert asked.count(members_of(LOBBY)) == 1
    assert asked.count("/_matrix/client/v3/account/whoami") == 1

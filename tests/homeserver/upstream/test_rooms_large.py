"""In front of a homeserver: rooms that have too many members to count."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamplighter.devtools.client import Client, RequestFailed
from tests.homeserver.upstream.front import LOBBY, Front, front

ALICE, BOB, CAROL = "@alice:demo", "@bob:demo", "@carol:demo"
THE_END = {"presence": "offline"}


@pytest.fixture(params=["largest_room: 2", "rooms: direct"])
async def door(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Front]:
    """A server in front, for which a room with more than two members does not count."""
    async with front(tmp_path, f"routing: {{{request.param}}}") as running:
        for user_id in (ALICE, BOB):
            running.small.join(user_id, LOBBY)
        yield running


async def synced(client: Client) -> Client:
    """Return the client once there is nothing new."""
    while (await client.sync(set_presence="offline")).presence:
        pass
    return client


async def test_it_comes_to_be_known(door: Front) -> None:
    """Nothing is ever told of the members of a room that was too large when it came to be known."""
    door.small.join(CAROL, LOBBY)
    bob = door.person("bob")
    await bob.set_status("online", "a secret")
    alice = door.person("alice")
    answers = [(await alice.sync()).presence for _ in range(2)]
    assert [it.keys() - {ALICE} for it in answers] == [set(), set()]
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(BOB)


async def test_it_comes_to_be_known_to_who_polls(door: Front) -> None:
    """A client that is there already is told nothing either, not even an end of visibility."""
    bob, alice = door.person("bob"), door.person("alice")
    for client in (bob, alice):
        door.small.leave(client.user_id, LOBBY)
        await synced(client)
    await bob.set_status("online", "a secret")
    door.small.join(BOB, LOBBY)
    door.small.join(CAROL, LOBBY)
    await alice.join(LOBBY)
    assert BOB not in (await alice.sync(set_presence="offline")).presence


async def test_it_grows_and_shrinks(door: Front) -> None:
    """A join that passes through ends the visibility of the others, and a leave brings it back."""
    bob = door.person("bob")
    await bob.set_status("online", "hello")
    alice, carol = await synced(door.person("alice")), await synced(door.person("carol"))
    assert alice.reads(BOB) == "hello"
    await carol.join(LOBBY)
    with pytest.raises(RequestFailed, match="M_FORBIDDEN"):
        await alice.status_of(BOB)
    assert (await alice.sync(set_presence="offline")).presence[BOB] == THE_END
    await carol.leave(LOBBY)
    await door.server.settled()
    await synced(alice)
    assert alice.reads(BOB) == "hello"

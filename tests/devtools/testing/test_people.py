"""The methods of people do what their names say, and `sees` tells what clients show."""

from collections.abc import Callable

import pytest

from lamplighter.devtools.testing import Person, PresenceServer, ServerClock
from lamplighter.errors import InvalidId

SHOWS = "lamplighter_examples.custom_presence_router.CustomPresenceRouter"
ZOE = "@zoe:elsewhere.org"


@pytest.fixture
def people(presence_server: PresenceServer) -> list[Person]:
    """Alice and bob, who share a room, and charlie, who shares none."""
    alice, bob, charlie = presence_server.users("alice", "bob", "charlie")
    alice.shares_room_with(bob)
    return [alice, bob, charlie]


def test_unavailable_from_the_beginning(people: list[Person], clock: ServerClock) -> None:
    """A person who connects as unavailable stays unavailable while receiving updates."""
    alice, bob, _ = people
    bob.becomes_unavailable("lunch")
    assert alice.sees(bob, "unavailable", "lunch")
    alice.goes_online()
    clock.advance(minutes=2)
    assert alice.sees(bob, "unavailable", "lunch")
    bob.goes_online()
    assert alice.sees(bob, "online")


def test_requests(people: list[Person]) -> None:
    """A person can send any request, and others receive its consequences."""
    alice, bob, _ = people
    alice.goes_online()
    path = f"/_matrix/client/v3/presence/{bob.user_id}/status"
    said = bob.requests("PUT", path, {"presence": "online", "status_msg": "brb"})
    assert (said.status, said.json) == (200, {})
    assert alice.client.beliefs[bob.user_id]["status_msg"] == "brb"
    assert alice.requests("GET", path).json["status_msg"] == "brb"
    assert alice.requests("PUT", path, {"presence": "online"}).status == 403


def test_coming_and_going(people: list[Person]) -> None:
    """Each method sets its presence at once; a message stays until another, or none, is set."""
    alice, bob, charlie = people
    acts: list[Callable[[], None]] = [
        lambda: bob.goes_online("hello"),
        lambda: bob.becomes_unavailable("lunch"),
        lambda: bob.goes_online(),
        lambda: bob.goes_offline("gone fishing"),
        lambda: bob.goes_online(),
    ]
    seen = []
    for act in acts:
        act()
        message = alice.reads(bob)
        seen.append((alice.client.beliefs[bob.user_id]["presence"], message))
    assert seen == [
        ("online", "hello"),
        ("unavailable", "lunch"),
        ("online", None),
        ("offline", "gone fishing"),
        ("online", None),
    ]
    assert alice.sees(bob, "online")
    assert not charlie.sees(bob)
    assert charlie.reads(bob) is None


def test_who_is_connected_receives(people: list[Person]) -> None:
    """A connected client has received everything before the next line; no other client has."""
    alice, bob, charlie = people
    alice.goes_online()
    bob.becomes_unavailable("brb")
    assert alice.client.beliefs[bob.user_id]["status_msg"] == "brb"
    assert charlie.client.beliefs == {}


def test_looking_is_no_presence(people: list[Person]) -> None:
    """A person who is not connected can look, and stays offline."""
    alice, bob, _ = people
    bob.goes_online()
    assert alice.sees(bob)
    assert not bob.sees(alice)


def test_a_lost_connection(people: list[Person], clock: ServerClock) -> None:
    """The server notices after half a minute that a client is gone."""
    alice, bob, _ = people
    bob.goes_online("brb")
    bob.loses_connection()
    clock.advance(seconds=29)
    assert alice.sees(bob, "online")
    clock.advance(seconds=1)
    assert alice.sees(bob, "offline", "brb")


def test_a_client_goes_on_polling(people: list[Person], clock: ServerClock) -> None:
    """A connected person stays, and becomes idle without activity."""
    alice, bob, _ = people
    bob.goes_online()
    clock.advance(minutes=25)
    assert alice.sees(bob, "unavailable")


def test_signs_of_life(people: list[Person], clock: ServerClock) -> None:
    """A person who types is not idle."""
    alice, bob, _ = people
    room = bob.shares_room_with(alice)
    bob.goes_online()
    clock.advance(minutes=4)
    bob.types_in(room)
    clock.advance(minutes=4)
    assert alice.sees(bob, "online")


def test_rooms(people: list[Person], presence_server: PresenceServer) -> None:
    """A person who joins a room becomes visible to its members, until the person leaves."""
    _, bob, charlie = people
    bob.goes_online()
    room = presence_server.room(bob)
    charlie.joins(room)
    assert charlie.sees(bob)
    charlie.leaves(room)
    charlie.starts_afresh()
    assert not charlie.sees(bob)
    assert repr(room) == f"room {room.room_id}"


def test_what_was_seen_before(people: list[Person]) -> None:
    """After the end of visibility `sees` is false, and explains why."""
    _, bob, charlie = people
    room = bob.shares_room_with(charlie)
    charlie.goes_online()
    bob.goes_online("brb")
    charlie.leaves(room)
    assert repr(charlie.sees(bob)) == (
        "charlie does not see bob: no shared room, and no module is loaded that could name bob"
    )
    charlie.starts_afresh()
    assert repr(charlie.sees(bob)) == (
        "charlie does not see bob: no shared room, and no module is loaded that could name bob"
    )


def test_people_of_other_servers(
    presence_server: PresenceServer, load_module: Callable[..., None]
) -> None:
    """A module shows remote users to local ones, and local users to other servers."""
    load_module(SHOWS, {"shows": {"@alice:demo": [ZOE], ZOE: ["@alice:demo"]}})
    alice, zoe = presence_server.user("alice"), presence_server.remote_user(ZOE)
    alice.goes_online("brb")
    zoe.goes_online("from afar")
    assert alice.sees(zoe, "online", "from afar")
    assert zoe.sees(alice, "online", "brb")
    zoe.becomes_unavailable()
    assert alice.sees(zoe, "unavailable")
    zoe.goes_offline()
    assert alice.sees(zoe, "offline")
    assert [repr(zoe), repr(alice)] == [ZOE, "alice"]


def test_who_is_of_another_server(presence_server: PresenceServer) -> None:
    """A local user and an impossible user ID are refused as remote users."""
    with pytest.raises(ValueError, match=r"@bob:demo is of this server: user\('bob'\)"):
        presence_server.remote_user("@bob:demo")
    with pytest.raises(InvalidId):
        presence_server.remote_user("bob")


@pytest.mark.parametrize("misspelt", ["onlin", "Online", "away", ""])
def test_a_presence_that_there_is_not(people: list[Person], misspelt: str) -> None:
    """A misspelt presence is an error that lists the possible ones."""
    alice, bob, _ = people
    with pytest.raises(ValueError, match="offline, unavailable, online"):
        alice.sees(bob, misspelt)
    with pytest.raises(ValueError, match="is not a valid Presence"):
        alice.client.sees(bob.client, misspelt)


def test_somebody_who_is_no_person(people: list[Person]) -> None:
    """A name in the place of a person is an error that says what to give."""
    with pytest.raises(TypeError, match="give a person"):
        people[0].sees("bob")  # type: ignore[arg-type] # that is what is tested

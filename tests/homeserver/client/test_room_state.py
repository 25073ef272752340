"""A room's members and state."""

import pytest

from lamplighter.ids import DeviceId, UserId
from lamplighter.ports import Requester
from tests.homeserver.world import Person, World, q


async def test_state_is_set_and_read(world: World, alice: Person) -> None:
    """State comes back as it was put: the content alone, or with format=event the whole event."""
    room = await alice.room()
    path = f"/rooms/{room}/state/org.example/key"
    event_id = (await alice.put(path, {"a": [1, None]})).json["event_id"]
    assert (await alice.get(path)).json == {"a": [1, None]}
    event = (await alice.get(path, {"format": "event"})).json
    assert (event["event_id"], event["type"], event["state_key"], event["content"]) == (
        event_id,
        "org.example",
        "key",
        {"a": [1, None]},
    )
    assert event in (await alice.get(f"/rooms/{room}/state")).json


async def test_setting_state_is_an_activity(world: World, alice: Person, bob: Person) -> None:
    """Setting state is an activity; reading it, or a refusal, is none."""
    room = await alice.room()
    await alice.get(f"/rooms/{room}/state")
    await bob.put(f"/rooms/{room}/state/org.example", {})
    assert world.acted == []
    await alice.put(f"/rooms/{room}/state/org.example", {})
    assert world.acted == [Requester(UserId("@alice:demo"), DeviceId("PHONE"))]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_empty_state_key_may_be_left_out(alice: Person, slash: str) -> None:
    """The path may end at the type, or at the slash after it."""
    room = await alice.room()
    await alice.put(f"/rooms/{room}/state/m.room.name{slash}", {"name": "Kitchen"})
    assert (await alice.get(f"/rooms/{room}/state/m.room.name")).json == {"name": "Kitchen"}
    assert (await alice.get(f"/rooms/{room}/state/m.room.name/")).json == {"name": "Kitchen"}


@pytest.mark.parametrize("key", ["a/b", "/", "#x:y", "@alice:demo", "ünï", "%2F", "?", "a b"])
async def test_a_state_key_may_hold_anything(alice: Person, key: str) -> None:
    """Slashes, sigils and encoded percent signs in a state key are part of it."""
    room = await alice.room(power_level_content_override={"state_default": 0})
    path = f"/rooms/{q(room)}/state/org.example/{q(key)}"
    await alice.put(path, {"key": key})
    assert (await alice.get(path)).json == {"key": key}
    event = (await alice.get(path, {"format": "event"})).json
    assert event["state_key"] == key


async def test_members_can_be_chosen_by_membership(alice: Person, bob: Person) -> None:
    """`membership` admits one, `not_membership` all but one."""
    room = await alice.room(invite=[bob.user_id])

    async def members(**query: str) -> list[str]:
        events = (await alice.get(f"/rooms/{room}/members", query)).json["chunk"]
        assert {event["type"] for event in events} <= {"m.room.member"}
        return sorted(event["state_key"] for event in events)

    assert await members() == ["@alice:demo", "@bob:demo"]
    assert await members(membership="join") == ["@alice:demo"]
    assert await members(membership="invite") == ["@bob:demo"]
    assert await members(not_membership="join") == ["@bob:demo"]
    assert await members(membership="join", not_membership="join") == []
    response = await alice.get(f"/rooms/{room}/members", {"membership": "x"})
    assert response.json["errcode"] == "M_INVALID_PARAM"


async def test_joined_members_have_profiles(world: World, alice: Person, bob: Person) -> None:
    """Joined members are listed with display name and avatar, invited users are not."""
    room = await alice.room(invite=[bob.user_id])
    await world.directory.set_displayname(alice.user_id, "Alice")
    joined = (await alice.get(f"/rooms/{room}/joined_members")).json
    assert joined == {"joined": {"@alice:demo": {"display_name": "Alice", "avatar_url": None}}}


@pytest.mark.parametrize(
    "what", ["members", "joined_members", "state", "state/m.room.create", "state/m.room.name"]
)
async def test_strangers_see_nothing(alice: Person, bob: Person, what: str) -> None:
    """A room one was never in, and a room that does not exist, are forbidden alike."""
    room = await alice.room()
    for path in (f"/rooms/{room}/{what}", f"/rooms/!none:demo/{what}"):
        response = await bob.get(path)
        assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")


async def test_absent_state_is_not_found(alice: Person) -> None:
    """A piece of state that was never set is M_NOT_FOUND for a member."""
    response = await alice.get(f"/rooms/{await alice.room()}/state/m.room.topic")
    assert (response.status, response.json["errcode"]) == (404, "M_NOT_FOUND")

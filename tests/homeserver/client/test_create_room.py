"""POST /createRoom."""

from typing import Any

import pytest

from tests.homeserver.world import Person, World


async def state(person: Person, room: str, event: str) -> Any:
    """Return the content of a state event."""
    return (await person.get(f"/rooms/{room}/state/{event}")).json


async def test_an_empty_body_makes_a_private_room(alice: Person) -> None:
    """Nobody joins a room that was created without a word, but who created it."""
    room = await alice.room()
    assert (await alice.get("/joined_rooms")).json == {"joined_rooms": [room]}
    assert (await state(alice, room, "m.room.join_rules"))["join_rule"] == "invite"


@pytest.mark.parametrize(
    ("body", "join_rule"),
    [
        ({"visibility": "public"}, "public"),
        ({"visibility": "private"}, "invite"),
        ({"preset": "public_chat"}, "public"),
        ({"preset": "private_chat", "visibility": "public"}, "invite"),
        ({"preset": "trusted_private_chat"}, "invite"),
        ({"preset": None, "visibility": None, "name": None, "invite": None}, "invite"),
    ],
)
async def test_the_preset_says_who_may_join(
    alice: Person, body: dict[str, Any], join_rule: str
) -> None:
    """The preset rules; without one the visibility does."""
    room = await alice.room(**body)
    assert (await state(alice, room, "m.room.join_rules"))["join_rule"] == join_rule


async def test_a_room_gets_what_it_was_created_with(alice: Person, bob: Person) -> None:
    """Name, topic, alias, invites and initial state are there from the start."""
    room = await alice.room(
        name="Kitchen",
        topic="Food",
        room_alias_name="kitchen",
        invite=[bob.user_id],
        initial_state=[{"type": "org.example", "content": {"a": 1}}],
        power_level_content_override={"invite": 50},
        is_direct=True,
    )
    assert await state(alice, room, "m.room.name") == {"name": "Kitchen"}
    assert await state(alice, room, "m.room.topic") == {"topic": "Food"}
    assert await state(alice, room, "org.example") == {"a": 1}
    assert (await state(alice, room, "m.room.power_levels"))["invite"] == 50
    invite = await state(alice, room, f"m.room.member/{bob.user_id}")
    assert (invite["membership"], invite["is_direct"]) == ("invite", True)
    assert (await bob.get("/directory/room/%23kitchen%3Ademo")).json["room_id"] == room


async def test_a_taken_alias_makes_no_room(alice: Person) -> None:
    """The second room of a name is M_ROOM_IN_USE, and is not there."""
    room = await alice.room(room_alias_name="kitchen")
    response = await alice.post("/createRoom", {"room_alias_name": "kitchen"})
    assert (response.status, response.json["errcode"]) == (400, "M_ROOM_IN_USE")
    assert (await alice.get("/joined_rooms")).json == {"joined_rooms": [room]}


@pytest.mark.parametrize(
    ("body", "errcode", "field"),
    [
        ({"preset": "cosy"}, "M_BAD_JSON", "preset: "),
        ({"visibility": 1}, "M_BAD_JSON", "visibility: "),
        ({"name": ["x"]}, "M_BAD_JSON", "name: "),
        ({"room_alias_name": "a:b"}, "M_INVALID_PARAM", "'#a:b:demo' is not a room alias"),
        ({"room_alias_name": "a" * 300}, "M_INVALID_PARAM", "is not a room alias"),
        ({"invite": "@bob:demo"}, "M_BAD_JSON", "invite: "),
        ({"invite": ["bob"]}, "M_INVALID_PARAM", "'bob' is not a user ID"),
        ({"initial_state": [{"content": {}}]}, "M_MISSING_PARAM", "initial_state[0].type: "),
        ({"initial_state": [{"type": "a", "content": 1}]}, "M_BAD_JSON", "initial_state[0].co"),
        (
            {"initial_state": [{"type": "a" * 256, "content": {}}]},
            "M_TOO_LARGE",
            "initial_state.type: ",
        ),
        ({"creation_content": []}, "M_BAD_JSON", "creation_content: "),
        ({"power_level_content_override": 5}, "M_BAD_JSON", "power_level_content_override: "),
        ({"is_direct": "yes"}, "M_BAD_JSON", "is_direct: "),
    ],
)
async def test_a_malformed_wish_names_the_field(
    alice: Person, body: dict[str, Any], errcode: str, field: str
) -> None:
    """The error names the field, and there is no room."""
    response = await alice.post("/createRoom", body)
    assert response.json["errcode"] == errcode
    assert field in response.json["error"]
    assert (await alice.get("/joined_rooms")).json == {"joined_rooms": []}


@pytest.mark.parametrize(
    ("event", "override"),
    [
        ({"type": "a", "state_key": "@bob:demo", "content": {}}, {}),
        ({"type": "a", "content": {}}, {"state_default": 101}),
        ({"type": "a", "content": {}}, {"users": {}}),
        ({"type": "m.room.power_levels", "content": {"users": {"@alice:demo": 101}}}, {}),
    ],
)
async def test_initial_state_is_state(
    alice: Person, event: dict[str, Any], override: dict[str, Any]
) -> None:
    """State that could not be set in the finished room is not set at its creation either."""
    wish = {"initial_state": [event], "power_level_content_override": override}
    response = await alice.post("/createRoom", wish)
    assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")
    assert (await alice.get("/joined_rooms")).json == {"joined_rooms": []}


async def test_power_levels_in_the_initial_state(alice: Person) -> None:
    """A creator may give levels up at once, and themselves a state of their own."""
    levels = {"users": {"@alice:demo": 50}, "state_default": 50}
    own = {"type": "a", "state_key": "@alice:demo", "content": {"b": 1}}
    room = await alice.room(initial_state=[own, {"type": "m.room.power_levels", "content": levels}])
    assert await state(alice, room, "m.room.power_levels") == levels
    assert await state(alice, room, "a/@alice:demo") == {"b": 1}


async def test_creating_rooms_is_limited(world: World, alice: Person) -> None:
    """A user creates 50 rooms at once, and then ten a second."""
    for _ in range(50):
        await alice.room()
    statuses = [(await alice.post("/createRoom", {})).status]
    world.clock.advance(milliseconds=100)
    statuses += [(await alice.post("/createRoom", {})).status for _ in range(2)]
    assert statuses == [429, 200, 429]

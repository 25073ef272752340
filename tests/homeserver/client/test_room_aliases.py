"""GET/PUT/DELETE /directory/room/{roomAlias}."""

import pytest

from tests.homeserver.world import Person, World, q

KITCHEN = f"/directory/room/{q('#kitchen:demo')}"


async def test_an_alias_names_a_room(world: World, alice: Person) -> None:
    """Once it is set, anybody may look it up, without a token too; then it is taken back."""
    room = await alice.room()
    assert (await alice.put(KITCHEN, {"room_id": room})).json == {}
    assert (await world.get(KITCHEN)).json == {"room_id": room, "servers": ["demo"]}
    assert (await alice.delete(KITCHEN, {})).json == {}
    gone = await world.get(KITCHEN)
    assert (gone.status, gone.json["errcode"]) == (404, "M_NOT_FOUND")


async def test_an_alias_names_one_room(alice: Person, bob: Person) -> None:
    """A name that is taken is M_ROOM_IN_USE."""
    await alice.put(KITCHEN, {"room_id": await alice.room()})
    response = await bob.put(KITCHEN, {"room_id": await bob.room()})
    assert (response.status, response.json["errcode"]) == (400, "M_ROOM_IN_USE")


async def test_a_stranger_takes_no_alias_back(world: World, alice: Person, bob: Person) -> None:
    """Only who gave a name may take it back."""
    room = await alice.room()
    await alice.put(KITCHEN, {"room_id": room})
    assert (await bob.delete(KITCHEN, {})).json["errcode"] == "M_FORBIDDEN"
    assert (await world.get(KITCHEN)).json["room_id"] == room


async def test_an_alias_may_hold_a_slash(world: World, alice: Person) -> None:
    """`#a/b:demo` is an alias like any other."""
    room = await alice.room(room_alias_name="a/b")
    path = f"/directory/room/{q('#a/b:demo')}"
    assert (await world.get(path)).json["room_id"] == room


@pytest.mark.parametrize(
    ("alias", "body", "errcode"),
    [
        ("#kitchen:elsewhere", {"room_id": "!a:demo"}, "M_INVALID_PARAM"),
        ("kitchen", {"room_id": "!a:demo"}, "M_INVALID_PARAM"),
        ("#kitchen:demo", {"room_id": "kitchen"}, "M_INVALID_PARAM"),
        ("#kitchen:demo", {}, "M_MISSING_PARAM"),
        ("#kitchen:demo", {"room_id": 1}, "M_BAD_JSON"),
    ],
)
async def test_what_is_no_alias(alice: Person, alias: str, body: object, errcode: str) -> None:
    """An alias of another server, a malformed alias or room ID: each has its errcode."""
    response = await alice.put(f"/directory/room/{q(alias)}", body)
    assert (response.status, response.json["errcode"]) == (400, errcode)

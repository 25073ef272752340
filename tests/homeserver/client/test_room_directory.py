"""The room directory, and the aliases of a room."""

from typing import Any

import pytest

from tests.homeserver.world import Person, World, q


def ids(page: dict[str, Any]) -> list[str]:
    """Return the rooms of an answer."""
    return [entry["room_id"] for entry in page["chunk"]]


async def test_only_public_rooms_are_told(alice: Person, bob: Person) -> None:
    """A room is in the room directory if it was created as public: whoever can join it or not."""
    public = await alice.room(visibility="public", name="Tea", topic="Cups", room_alias_name="tea")
    await alice.room(preset="public_chat")
    assert (await bob.get("/publicRooms")).json == {
        "chunk": [
            {
                "room_id": public,
                "name": "Tea",
                "topic": "Cups",
                "canonical_alias": "#tea:demo",
                "join_rule": "public",
                "num_joined_members": 1,
                "guest_can_join": False,
                "world_readable": False,
            }
        ],
        "total_room_count_estimate": 1,
    }


async def test_the_largest_first_and_page_by_page(alice: Person, bob: Person) -> None:
    """Rooms come in the order of their sizes, a page at a time, by GET and POST alike."""
    small, large, middle = [await alice.room(visibility="public") for _ in range(3)]
    carol_joins = [(bob, large), (bob, middle)]
    for person, room in carol_joins:
        await person.post(f"/rooms/{q(room)}/join", {})
    await bob.post(f"/rooms/{q(large)}/join", {})
    first = (await alice.get("/publicRooms", {"limit": "2"})).json
    rest = (await alice.post("/publicRooms", {"limit": 2, "since": first["next_batch"]})).json
    assert sorted(ids(first)) == sorted([large, middle])
    assert ids(rest) == [small]
    assert (first["total_room_count_estimate"], "prev_batch" in first) == (3, False)
    assert ("next_batch" in rest, rest["prev_batch"]) == (False, "0")


@pytest.mark.parametrize(
    ("term", "found"),
    [("TEA", 1), ("cups", 1), ("tea:dem", 1), ("name", 0), ("%", 0), ("_ea", 0), ("", 2)],
)
async def test_searching(alice: Person, term: str, found: int) -> None:
    """A search term is a part of the name, the topic or the alias, and nothing else."""
    await alice.room(visibility="public", name="Tea", topic="Cups", room_alias_name="tea")
    await alice.room(visibility="public", name="Coffee")
    body = {"filter": {"generic_search_term": term}}
    assert len((await alice.post("/publicRooms", body)).json["chunk"]) == found


async def test_publishing_later(alice: Person, bob: Person) -> None:
    """A user who may change the room's aliases decides whether it is in the room directory."""
    room = await alice.room(preset="public_chat")
    path = f"/directory/list/room/{q(room)}"
    before = (await bob.get(path)).json
    await bob.post(f"/rooms/{q(room)}/join", {})
    refused = await bob.put(path, {"visibility": "public"})
    for _ in range(2):
        assert (await alice.put(path, {"visibility": "public"})).status == 200
    after = (await bob.get(path)).json
    listed = ids((await bob.get("/publicRooms")).json)
    assert (await alice.put(path, {"visibility": "private"})).status == 200
    assert (before, after) == ({"visibility": "private"}, {"visibility": "public"})
    assert (refused.status, listed) == (403, [room])
    assert ids((await bob.get("/publicRooms")).json) == []


async def test_rooms_that_are_not(alice: Person) -> None:
    """An unknown room is M_NOT_FOUND, and so is another server's room directory."""
    path = "/directory/list/room/!no:demo"
    answers = [
        await alice.get(path),
        await alice.put(path, {}),
        await alice.get("/publicRooms", {"server": "other.example"}),
    ]
    assert [(it.status, it.json["errcode"]) for it in answers] == [(404, "M_NOT_FOUND")] * 3


async def test_one_must_be_logged_in(world: World) -> None:
    """The room directory is for users of this server."""
    assert (await world.get("/publicRooms")).status == 401


async def test_aliases_of_a_room(alice: Person, bob: Person) -> None:
    """Members see the aliases of a room."""
    room = await alice.room(room_alias_name="tea")
    await alice.put(f"/directory/room/{q('#cups:demo')}", {"room_id": room})
    seen = await alice.get(f"/rooms/{q(room)}/aliases")
    assert seen.json == {"aliases": ["#cups:demo", "#tea:demo"]}
    assert (await bob.get(f"/rooms/{q(room)}/aliases")).status == 403


#: An alias may hold a slash.
KITCHEN = f"/directory/room/{q('#kitchen/1:demo')}"


async def test_an_alias_names_a_room(world: World, alice: Person) -> None:
    """Once it is set, anybody may look it up, without a token too; then it is taken back."""
    room = await alice.room()
    assert (await alice.put(KITCHEN, {"room_id": room})).json == {}
    assert (await world.get(KITCHEN)).json == {"room_id": room, "servers": ["demo"]}
    assert (await alice.delete(KITCHEN, {})).json == {}
    gone = await world.get(KITCHEN)
    assert (gone.status, gone.json["errcode"]) == (404, "M_NOT_FOUND")


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

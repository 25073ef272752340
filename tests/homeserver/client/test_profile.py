"""Profiles, and the search for users."""

from typing import Any

import pytest

from tests.homeserver.world import Person, World, q

PATH = "/profile/@alice:demo"


async def test_a_profile_is_shown_to_anybody(world: World, alice: Person) -> None:
    """Everybody can read a profile, whole and by its parts, without a token too."""
    await alice.put(f"{PATH}/displayname", {"displayname": "Alice ☃"})
    await alice.put(f"{PATH}/avatar_url", {"avatar_url": "mxc://demo/a"})
    assert (await world.get(PATH)).json == {"displayname": "Alice ☃", "avatar_url": "mxc://demo/a"}
    assert (await world.get(f"{PATH}/displayname")).json == {"displayname": "Alice ☃"}
    assert (await world.get(f"{PATH}/avatar_url")).json == {"avatar_url": "mxc://demo/a"}


@pytest.mark.parametrize("name", ["displayname", "avatar_url"])
async def test_null_takes_it_away(world: World, alice: Person, name: str) -> None:
    """A field that is null is not set any more, and one that is not set is not shown."""
    await alice.put(f"{PATH}/{name}", {name: "x"})
    assert (await world.get(f"{PATH}/{name}")).json == {name: "x"}
    assert (await alice.put(f"{PATH}/{name}", {name: None})).json == {}
    assert (await world.get(f"{PATH}/{name}")).json == {}


@pytest.mark.parametrize("name", ["displayname", "avatar_url"])
async def test_a_profile_is_ones_own(world: World, alice: Person, bob: Person, name: str) -> None:
    """Nobody changes another user's profile."""
    before = (await world.get(PATH)).json
    response = await bob.put(f"{PATH}/{name}", {name: "x"})
    assert (response.status, response.json["errcode"]) == (403, "M_FORBIDDEN")
    assert (await world.get(PATH)).json == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "displayname: missing"),
        ({"displayname": 5}, "displayname: expected str | null, got int"),
        ({"displayname": "x" * 1025}, "displayname: longer than 1024 bytes"),
        ({"displayname": "a\0b"}, "displayname: must not contain a NUL"),
    ],
)
async def test_a_malformed_name_is_refused(alice: Person, body: object, error: str) -> None:
    """A missing, wrong or over-long display name is an error that names it."""
    assert (await alice.put(f"{PATH}/displayname", body)).json["error"] == error


async def test_unknown_users_have_no_profile(world: World) -> None:
    """The profile of a user who does not exist is M_NOT_FOUND."""
    for user_id in ("@nobody:demo", "@alice:elsewhere"):
        response = await world.get(f"/profile/{user_id}")
        assert (response.status, response.json["errcode"]) == (404, "M_NOT_FOUND")


async def test_new_names_are_limited(world: World, alice: Person) -> None:
    """A user has 50 new names or avatars at once, and then ten a second."""
    path = f"/profile/{alice.user_id}"
    for number in range(50):
        await alice.put(f"{path}/displayname", {"displayname": f"{number}"})
    statuses = [(await alice.put(f"{path}/avatar_url", {"avatar_url": "x"})).status]
    world.clock.advance(milliseconds=100)
    statuses.append((await alice.put(f"{path}/avatar_url", {"avatar_url": "x"})).status)
    assert statuses == [429, 200]


async def found(person: Person, term: str, **body: Any) -> list[str]:
    """Return whom a search finds."""
    answer = await person.post("/user_directory/search", {"search_term": term, **body})
    return [it["user_id"] for it in answer.json["results"]]


async def test_who_shares_a_room_is_found(alice: Person, bob: Person, world: World) -> None:
    """One finds those of one's rooms and of published rooms, and nobody else: not even by ID."""
    carol, dave = await world.person("carol"), await world.person("dave")
    together = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(together)}/join", {})
    await carol.room(visibility="public")
    await dave.room()
    assert await found(alice, ":demo") == ["@alice:demo", "@bob:demo", "@carol:demo"]
    assert await found(alice, "@dave:demo") == []
    await bob.post(f"/rooms/{q(together)}/leave", {})
    assert await found(alice, "bob") == []


async def test_an_invite_shows_nobody(alice: Person, bob: Person) -> None:
    """Being invited is not being in the room, for either of the two."""
    await alice.room(invite=["@bob:demo"])
    assert (await found(alice, "bob"), await found(bob, "alice")) == ([], [])


async def test_names_and_ids(alice: Person) -> None:
    """A term is a part of the ID or of the name, in capitals or not; it holds no wildcards."""
    await alice.room()
    await alice.put(f"/profile/{q('@alice:demo')}/displayname", {"displayname": "Queen of Émile"})
    answer = await alice.post("/user_directory/search", {"search_term": "QUEEN"})
    assert answer.json == {
        "results": [{"user_id": "@alice:demo", "display_name": "Queen of Émile"}],
        "limited": False,
    }
    assert [await found(alice, term) for term in ("ALICE", "Émile", "al%", "alic_")] == [
        ["@alice:demo"],
        ["@alice:demo"],
        [],
        [],
    ]


async def test_limit(alice: Person, bob: Person) -> None:
    """An answer has at most `limit` users, and says if there are more."""
    room = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(room)}/join", {})
    answer = await alice.post("/user_directory/search", {"search_term": "demo", "limit": 1})
    assert (answer.json["limited"], len(answer.json["results"])) == (True, 1)


async def test_deactivated_users_are_not_found(world: World, alice: Person, bob: Person) -> None:
    """A search finds no deactivated user."""
    room = await alice.room(preset="public_chat")
    await bob.post(f"/rooms/{q(room)}/join", {})
    await world.directory.deactivate(bob.user_id)
    assert await found(alice, "bob") == []


async def test_searches_are_limited(alice: Person) -> None:
    """A user searches 50 times at once, and then ten times a second."""
    statuses = [
        (await alice.post("/user_directory/search", {"search_term": "x"})).status for _ in range(51)
    ]
    assert statuses == [200] * 50 + [429]
